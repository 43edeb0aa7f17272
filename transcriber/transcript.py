"""A whole transcript, for answers that are sent at its end."""

from typing import NamedTuple

from reelscribe.contracts.events import Event, Finished, Segment, Started
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.slots import Claim
from reelscribe.text.running_text import running_text
from transcriber.jobs.sources import Source
from transcriber.service import TranscriberService


class Transcript(NamedTuple):
    """What the events of a job said."""

    started: Started
    segments: list[Segment]
    finished: Finished

    @property
    def text(self) -> str:
        """All of it, on one line."""
        return running_text(segment.text for segment in self.segments)


async def transcribe(
    service: TranscriberService, request: TranscribeFields, source: Source, claim: Claim
) -> Transcript:
    """Wait for the whole transcript.

    Raises:
        ServiceError: there is none; see :meth:`transcriber.service.TranscriberService.transcribe`.
    """
    told: list[Event] = []

    async def keep(event: Event) -> None:
        told.append(event)

    finished = await service.transcribe(request, source, claim, keep)
    (started,) = (event for event in told if isinstance(event, Started))
    return Transcript(started, [event for event in told if isinstance(event, Segment)], finished)
