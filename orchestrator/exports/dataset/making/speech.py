"""Utterances: the sound of each, cut to the sample out of one decoding of the recording, with its text."""

import struct
from collections.abc import AsyncIterator

from orchestrator.exports.dataset.keys import milliseconds
from orchestrator.exports.dataset.making.loudness import loudness
from orchestrator.exports.dataset.making.objects import check_object, named_bucket
from orchestrator.exports.dataset.plan import Item, PlanSettings, SpeechSettings
from orchestrator.exports.dataset.samples import Missing, Sample
from reelscribe.contracts.extractor import ExtractAudioRequest
from reelscribe.errors import StreamCut
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.media.sound.wav import SAMPLE_BYTES, wav_header

BEYOND_SECONDS = 1.0
"""That are decoded after the last utterance; some times of words are after the end of the sound."""
BEFORE_SECONDS = 2
"""That are decoded before the first utterance of a part: an integer, so that the first sample has a number."""
SHORT_SECONDS = 0.25
"""That may be missing at the end of an utterance: the model rounds its times."""


async def speech(extractor: ExtractorClient, plan: PlanSettings, item: Item) -> AsyncIterator[Sample | Missing]:
    """The utterances of a recording."""
    settings = plan.of_kind
    assert isinstance(settings, SpeechSettings)
    if not item.utterances:
        yield Missing(None, "no_utterance", _why_none(item))
        return
    rate = settings.sample_rate
    start = max(0, int(item.utterances[0].start) - BEFORE_SECONDS)
    request = ExtractAudioRequest(
        savepath=item.savepath,
        bucket_name=named_bucket(plan, item),
        audio_format="wav",
        sample_rate=rate,
        channels=1,
        start=start,
        duration=item.utterances[-1].end + BEYOND_SECONDS - start,
        track=item.track,
        allow_incomplete=item.allow_incomplete,
    )
    async with extractor.extract(request) as audio:
        check_object(item, audio.etag)
        sound = _Sound(audio.chunks(), rate, start * rate)
        for utterance in item.utterances:
            first, end = sample_at(utterance.start, rate), sample_at(utterance.end, rate)
            samples = await sound.cut(first, end)
            count = len(samples) // SAMPLE_BYTES
            if count < end - first - SHORT_SECONDS * rate or count < settings.min_seconds * rate:
                message = f"the sound ends {(end - first - count) / rate:.2f} s before the end of the utterance"
                yield Missing(utterance.start, "past_the_end", message)
                continue
            yield Sample(
                key=f"{item.key}_{milliseconds(utterance.start)}",
                files={"wav": wav_header(rate, 1, "mono", len(samples), room=False) + samples},
                values={
                    "etag": audio.etag,
                    "text": utterance.text,
                    "language": utterance.language,
                    "confidence": utterance.confidence,
                    "start": first / rate,
                    "duration": count / rate,
                    "audio_start_sample": first,
                    "audio_samples": count,
                    "sample_rate": rate,
                    "channels": 1,
                    "loudness": loudness(samples),
                },
            )
        await sound.drain()


def sample_at(seconds: float, rate: int) -> int:
    """The number of the sample at a time, rounded half up."""
    return int(seconds * rate + 0.5)


def _why_none(item: Item) -> str:
    if not item.left_out:
        is_part = item.start is not None or item.duration is not None
        return "nothing is said in this part of the recording" if is_part else "the transcript has no words"
    reasons = ", ".join(f"{count} {reason}" for reason, count in item.left_out.items())
    return f"no utterance is wanted: {reasons}"


class _Sound:
    """The samples of a WAV that arrives, forwards only.

    Args:
        first: number of its first sample.
    """

    def __init__(self, chunks: AsyncIterator[bytes], rate: int, first: int) -> None:
        self._chunks = chunks
        self._rate = rate
        self._pending = bytearray()
        self._first = first
        self._header_read = False

    async def cut(self, first: int, end: int) -> bytes:
        """The samples from one number up to another; fewer if the sound ends before."""
        while self._first + len(self._pending) // SAMPLE_BYTES < end and await self._more(first):
            pass
        self._drop(first)
        return bytes(self._pending[: max(0, end - self._first) * SAMPLE_BYTES])

    async def drain(self) -> None:
        """Read to the end, so that all is compared with the receipt."""
        async for _ in self._chunks:
            pass

    async def _more(self, first: int) -> bool:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            return False
        self._pending += chunk
        if not self._header_read:
            self._read_header()
        if self._header_read:
            self._drop(first)
        return True

    def _drop(self, first: int) -> None:
        """Forget what is before this sample."""
        gone = min(max(0, first - self._first), len(self._pending) // SAMPLE_BYTES)
        del self._pending[: gone * SAMPLE_BYTES]
        self._first += gone

    def _read_header(self) -> None:
        """Leave only samples, once all before them has arrived."""
        at = self._pending.find(b"data")
        if at < 0 or len(self._pending) < at + 8:
            if len(self._pending) > 4096:
                raise StreamCut("the sound that came is no WAV")
            return
        form = self._pending.find(b"fmt ")
        codec, channels, rate = struct.unpack_from("<HHI", self._pending, form + 8)
        if (codec, channels, rate) != (1, 1, self._rate):
            raise StreamCut(f"the sound that came has {channels} channels at {rate} Hz, not one at {self._rate} Hz")
        del self._pending[: at + 8]
        self._header_read = True
