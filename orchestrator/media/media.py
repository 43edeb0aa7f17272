"""What a browser gets of a recording, by way of the extractor, which no browser sees."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.database.pool import Pool
from orchestrator.jobs.peaks import Waveform, keep_waveform, kept_waveform
from orchestrator.media.browsers import Playback, playback
from orchestrator.media.shared_work import SharedWork
from reelscribe.errors import RemoteError
from reelscribe.http.access.tokens import Tokens

if TYPE_CHECKING:  # no other command needs an HTTP client
    from reelscribe.contracts.extractor import ExtractAudioRequest, ObjectQuery, ProbeResult
    from reelscribe.http.peers.extractor_client import ExtractorClient, SentBytes

KEPT_POINTS = 4096
"""Of a waveform: as many as the widest display has pixels."""
KEPT_AUDIO = 1000
"""Recordings of which is known under which id the extractor keeps their audio."""
BITRATE_KBPS = 128
"""Constant: browsers seek in such an mp3 exactly. The highest frequencies of music suffer, speech does not."""


class Recording(NamedTuple):
    """An object of a bucket."""

    bucket: str
    savepath: str


class Media:
    """Recordings for browsers.

    Args:
        url: of the extractor.
        default_bucket: the one that the extractor takes when none is named.
    """

    def __init__(self, pool: Pool, url: str, tokens: Tokens, default_bucket: str) -> None:
        self._pool = pool
        self._url = url
        self._tokens = tokens
        self._default_bucket = default_bucket
        self._audio = OrderedDict[tuple[Recording, str], str]()
        self._making_audio = SharedWork[str]()
        self._making_waveforms = SharedWork[Waveform]()

    async def close(self) -> None:
        """Close the connections to the extractor."""
        if "_extractor" in vars(self):
            await self._extractor.__aexit__()

    async def etag(self, recording: Recording) -> str:
        """Of the object now.

        Raises:
            ServiceError: there is no such object, or the extractor does not answer.
        """
        return await self._extractor.etag(self._query(recording))

    async def playback(self, recording: Recording) -> tuple["ProbeResult", Playback]:
        """What the recording holds, and how a browser plays it.

        Raises:
            ServiceError: it is no recording, or the extractor does not answer.
        """
        from reelscribe.contracts.extractor import ProbeQuery

        probed = await self._extractor.probe(ProbeQuery(**self._query(recording).model_dump()))
        return probed, playback(probed)

    @asynccontextmanager
    async def stored(self, recording: Recording, headers: Mapping[str, str]) -> AsyncIterator["SentBytes"]:
        """The object as stored, or a part of it.

        Raises:
            ServiceError: there is no such object or part, or the extractor does not answer.
        """
        async with self._extractor.stored(self._query(recording), headers) as sent:
            yield sent

    @asynccontextmanager
    async def audio(self, recording: Recording, headers: Mapping[str, str]) -> AsyncIterator["SentBytes"]:
        """The audio of the recording as an mp3, or a part of it; it is made if the extractor does not have it.

        Raises:
            ServiceError: there is no such object or part, it has no sound, or the extractor does not answer.
        """
        key = (recording, await self.etag(recording))
        async with AsyncExitStack() as stack:
            try:
                known = self._audio.get(key) or await self._make_audio(key)
                sent = await stack.enter_async_context(self._extractor.result(known, headers))
            except RemoteError as failure:
                if failure.code != "extraction_not_found":
                    raise
                self._audio.pop(key, None)
                made = await self._make_audio(key)
                sent = await stack.enter_async_context(self._extractor.result(made, headers))
            yield sent

    async def _make_audio(self, key: tuple[Recording, str]) -> str:
        async def make() -> str:
            return (await self._extractor.keep(self._audio_request(key[0]))).extraction_id

        made = self._audio[key] = await self._making_audio.result(key, make)
        self._audio.move_to_end(key)
        if len(self._audio) > KEPT_AUDIO:
            self._audio.popitem(last=False)
        return made

    async def waveform(self, recording: Recording, etag: str) -> Waveform:
        """The waveform of this object, kept in the database; it is made if none is.

        Raises:
            ServiceError: it has no sound, or the extractor does not answer.
        """
        async with self._pool.connection() as connection:
            kept = await kept_waveform(connection, *recording, etag)
        return kept or await self._making_waveforms.result((recording, etag), partial(self._make_waveform, recording))

    async def _make_waveform(self, recording: Recording) -> Waveform:
        from reelscribe.contracts.clips import PeaksRequest

        query = self._query(recording).model_dump()
        made = await self._extractor.peaks(PeaksRequest(**query, points=KEPT_POINTS, allow_incomplete=True))
        waveform = Waveform(made.etag, made.seconds, made.min, made.max, made.reason)
        async with self._pool.connection() as connection:
            await keep_waveform(connection, *recording, waveform)
        return waveform

    def _query(self, recording: Recording) -> "ObjectQuery":
        from reelscribe.contracts.extractor import ObjectQuery

        named = None if recording.bucket == self._default_bucket else recording.bucket
        return ObjectQuery(savepath=recording.savepath, bucket_name=named)

    def _audio_request(self, recording: Recording) -> "ExtractAudioRequest":
        from reelscribe.contracts.extractor import ExtractAudioRequest

        return ExtractAudioRequest(
            **self._query(recording).model_dump(),
            audio_format="mp3",
            bitrate_kbps=BITRATE_KBPS,
            delivery="kept",
            allow_incomplete=True,
        )

    @cached_property
    def _extractor(self) -> "ExtractorClient":
        from reelscribe.http.peers.extractor_client import ExtractorClient

        return ExtractorClient(self._url, self._tokens)
