"""The audio tokens of the segments of a transcript: its recording is extracted once, as a stream, and cut by sample."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from orchestrator.errors import NotTokenized, NotWritten
from orchestrator.exports.tokens.tokenizer import AudioTokenizer, encode
from orchestrator.exports.tokens.wav import cut, samples, span
from orchestrator.transcripts.models import Transcript
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import PeerUnreachable, ServiceError

if TYPE_CHECKING:
    from orchestrator.exports.tokens.tokenizer import Tokens
    from reelscribe.http.peers.extractor_client import ExtractorClient

PAUSES = (1.0, 5.0)
"""Seconds before each further try."""
OUTAGES = (401, 403, 503)
"""Statuses that say nothing of a recording: each other one would have the same answer."""
TOKEN_BYTES = 2


class SegmentTokens:
    """Makes the audio tokens of segments.

    Args:
        report: called with each failure that leaves the segments of a recording without tokens.
        pauses: in seconds, before each further try of what may pass.
    """

    def __init__(
        self,
        extractor: "ExtractorClient",
        tokenizer: AudioTokenizer,
        report: Callable[[ServiceError], None],
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self.tokenizer = tokenizer
        self._extractor = extractor
        self._report = report
        self._pauses = pauses

    @asynccontextmanager
    async def of(self, transcript: Transcript, folder: Path) -> AsyncIterator[Iterator["Tokens | None"]]:
        """The tokens of each segment, in order; None for each if there can be none, which is reported.

        Args:
            folder: has room for the tokens of one recording, which are in a file without a name meanwhile.

        Raises:
            NotWritten: this time there are none, for a reason that may pass.
            ServiceError: the extractor answers no request now.
        """
        with TemporaryFile(dir=folder) as file:
            counts: list[int] | None = []
            try:
                if transcript.segments:
                    counts = await self._with_retries(transcript, file)
            except ServiceError as failure:
                if isinstance(failure, PeerUnreachable) or failure.status in OUTAGES:
                    raise
                if failure.retryable:
                    savepath = transcript.job.savepath
                    raise NotWritten(f"{savepath}: {failure.message}; its partition is as it was") from failure
                counts = None
                self._report(_about(transcript, failure))
            yield iter([None] * len(transcript.segments)) if counts is None else _read(file, counts)

    async def _with_retries(self, transcript: Transcript, file: BinaryIO) -> list[int]:
        for pause in self._pauses:
            try:
                return await self._store(transcript, file)
            except ServiceError as failure:
                if not failure.retryable:
                    raise
            await asyncio.sleep(pause)
        return await self._store(transcript, file)

    async def _store(self, transcript: Transcript, file: BinaryIO) -> list[int]:
        """Write the tokens of all segments into the file; how many each has."""
        import numpy as np

        savepath, rate = transcript.job.savepath, self.tokenizer.sample_rate
        file.seek(0)
        file.truncate()
        counts = []
        spans = [span(segment.start, segment.end, rate) for segment in transcript.segments]
        async with self._extractor.extract(_request(transcript, rate)) as audio:
            transcribed = transcript.receipt.parts[-1].etag
            if transcribed and audio.etag != transcribed:
                raise NotTokenized(f"{savepath} has changed since it was transcribed; submit it again")
            async with aclosing(samples(audio.chunks(), rate)) as sound, aclosing(cut(sound, spans)) as parts:
                async for part in parts:
                    floats = np.frombuffer(part, "<i2").astype(np.float32) / np.float32(32768)
                    tokens = encode(self.tokenizer, floats, savepath)
                    file.write(tokens.tobytes())
                    counts.append(tokens.size)
        return counts


def _request(transcript: Transcript, sample_rate: int) -> ExtractAudioRequest:
    """The sound that was transcribed: the same track and channel."""
    job = transcript.job
    return ExtractAudioRequest(
        savepath=job.savepath,
        bucket_name=job.bucket,
        audio_format="wav",
        sample_rate=sample_rate,
        channels=1,
        track=transcript.receipt.track,
        channel=job.options.get("channel"),
        allow_incomplete=not transcript.receipt.complete,
    )


def _about(transcript: Transcript, failure: ServiceError) -> ServiceError:
    savepath = transcript.job.savepath
    sentence = failure.message if savepath in failure.message else f"{savepath}: {failure.message}"
    return NotTokenized(f"{sentence}; its segments have no audio tokens")


def _read(file: BinaryIO, counts: list[int]) -> Iterator["Tokens"]:
    import numpy as np

    file.seek(0)
    for count in counts:
        yield np.frombuffer(file.read(TOKEN_BYTES * count), np.int16)
