"""A complete transcript, for answers that are sent at its end."""

from typing import NamedTuple

from reelscribe.contracts.events import Event, Finished, Segment, Started
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.slots import Claim
from reelscribe.text.running_text import running_text
from transcriber.jobs.sources import AudioSource
from transcriber.service import TranscriberService


class CompleteTranscript(NamedTuple):
    """All events of a transcription."""

    started: Started
    segments: list[Segment]
    finished: Finished

    @property
    def text(self) -> str:
        """All of it, on one line."""
        return running_text(segment.text for segment in self.segments)


async def collect_transcript(
    service: TranscriberService, request: TranscribeFields, source: AudioSource, claim: Claim
) -> CompleteTranscript:
    """Transcribe, and wait for the end.

    Raises:
        ServiceError: why there is no transcript; see :meth:`transcriber.service.TranscriberService.transcribe`.
    """
    events: list[Event] = []

    async def keep(event: Event) -> None:
        events.append(event)

    finished = await service.transcribe(request, source, claim, keep)
    (started,) = (event for event in events if isinstance(event, Started))
    return CompleteTranscript(started, [event for event in events if isinstance(event, Segment)], finished)
