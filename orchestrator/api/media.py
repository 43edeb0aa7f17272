"""The routes from which a browser plays a recording: its stored bytes, its audio, its waveform, and how to play it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.api.schemas import MediaQuery, PeaksQuery, PlaybackAnswer, WaveformAnswer
from orchestrator.media.media import Recording
from orchestrator.transcripts.addresses import recording_path
from reelscribe.errors import BadRequest, Busy, RangeNotSatisfiable, RemoteError, Stopping, StreamCut
from reelscribe.savepath import mistake_in
from reelscribe.version import version

if TYPE_CHECKING:
    from reelscribe.http.peers.extractor_client import SentBytes

IDLE_SECONDS = 10.0
"""Without reading, after which a player no longer occupies the extractor; the rest is requested when it reads again."""
PAUSED_SECONDS = 30.0
"""More, after which it is cut: a browser opens few connections to a host. It requests the rest when it needs it."""
MOST_PLAYERS = 300
"""Answers that are being sent."""

REQUESTED = ("Range", "If-Range", "If-None-Match")
ANSWERED = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag")

Open = Callable[[Mapping[str, str]], AbstractAsyncContextManager["SentBytes"]]


class MediaHandler(OrchestratorHandler):
    """A request about a recording; what is done for it ends when the client leaves."""

    _work: asyncio.Task[None] | None = None

    async def while_connected(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work.

        Raises:
            Stopping: the client left, or the orchestrator stops.
        """
        self._work = asyncio.create_task(work)
        try:
            await self._work
        except asyncio.CancelledError:
            raise Stopping("the client left, or the orchestrator is stopping") from None

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._work:
            self._work.cancel()

    def recording(self, savepath: str, bucket_name: str | None) -> Recording:
        """The recording of a URL.

        Raises:
            BadRequest: there can be no such object.
        """
        if mistake := mistake_in(savepath):
            raise BadRequest(f"savepath: {mistake}")
        return Recording(bucket_name or self.service.default_bucket, savepath)

    def compute_etag(self) -> None:
        """Answers have the ETag that is set, and not one of their bytes."""

    def not_modified(self, etag: str) -> bool:
        """Whether the client has this version of the answer already; then it is sent so."""
        self.set_header("ETag", f'"{etag}"')
        self.set_header("Cache-Control", "private, no-cache")
        if self.check_etag_header():
            self.set_status(304)
            return True
        return False


class PlaybackHandler(MediaHandler):
    """``GET /api/media/{savepath}``: how a browser plays the recording."""

    async def get(self, savepath: str) -> None:
        await self.while_connected(self._answer(savepath, self.read_query(MediaQuery)))

    async def _answer(self, savepath: str, query: MediaQuery) -> None:
        recording, media = self.recording(savepath, query.bucket_name), self.service.media
        if self.not_modified(f"{version()}-{await media.etag(recording)}"):
            return
        probed, playback = await media.playback(recording)
        path = partial(recording_path, savepath=savepath, bucket_name=query.bucket_name)
        audio = self.service.link(path("/media/", route="audio")) if probed.chosen_track is not None else None
        stored = self.service.link(path("/media/", route="file")) if playback.as_stored else None
        answer = PlaybackAnswer(
            bucket=recording.bucket,
            savepath=savepath,
            playable=playback.playable,
            why=playback.why,
            url=stored or (audio if playback.playable == "audio" else None),
            audio_url=audio,
            peaks_url=self.service.link(path("/api/media/", route="peaks")) if audio else None,
            seconds=probed.duration,
            size=probed.size,
            etag=probed.etag,
        )
        self.finish(answer.model_dump(mode="json"))


class PeaksHandler(MediaHandler):
    """``GET /api/media/{savepath}/peaks?points=``: the waveform, made once and kept."""

    async def get(self, savepath: str) -> None:
        await self.while_connected(self._answer(savepath, self.read_query(PeaksQuery)))

    async def _answer(self, savepath: str, query: PeaksQuery) -> None:
        recording, media = self.recording(savepath, query.bucket_name), self.service.media
        etag = await media.etag(recording)
        if self.not_modified(f"{version()}-{query.points}-{etag}"):
            return
        waveform = await media.waveform(recording, etag)
        low, high = waveform.reduced(query.points)
        answer = WaveformAnswer(
            seconds=waveform.seconds, points=len(low), min=low, max=high, etag=waveform.etag, reason=waveform.reason
        )
        self.finish(answer.model_dump(mode="json"))


class PlayedHandler(MediaHandler):
    """Passes on what the extractor sends, no faster than the player reads, and keeps none of it in memory."""

    async def relay(self, open_sent: Open) -> None:
        """Answer with what ``open_sent`` opens for the headers of this request.

        Raises:
            Busy: there are too many players.
            RangeNotSatisfiable: there is nothing of what was requested.
            StreamCut: the object was changed while it was sent.
        """
        players = self.service.players
        if len(players) >= MOST_PLAYERS:
            raise Busy(f"{MOST_PLAYERS} players are being served already; try again in a moment", retry_after=10)
        players.add(self)
        try:
            await self._relay(open_sent)
        except RemoteError as failure:
            if failure.status == 416:
                raise RangeNotSatisfiable(failure.message, size=failure.details.get("size", 0)) from None
            raise
        finally:
            players.discard(self)

    async def _relay(self, open_sent: Open) -> None:
        asked = {name: value for name in REQUESTED if (value := self.request.headers.get(name))}
        async with open_sent(asked) as sent:
            self.set_status(sent.status)
            for name in ANSWERED:
                if name in sent.headers:
                    self.set_header(name, sent.headers[name])
            self.set_header("Cache-Control", "private, no-cache")
            self.set_header("Content-Security-Policy", "default-src 'none'; media-src 'self'; frame-ancestors 'none'")
            if sent.status == 304 or self.request.method == "HEAD":
                self.finish()
                return
            position, end = _extent(sent)
            position, flushed = await self._pass_on(sent, position)
        await self._until_read(flushed)
        while position < end:
            rest = {"Range": f"bytes={position}-{end - 1}", "If-Range": sent.headers["ETag"]}
            async with open_sent(rest) as sent:
                if sent.status != 206:
                    raise StreamCut("the object was changed while it was sent; try again")
                position, flushed = await self._pass_on(sent, position)
            await self._until_read(flushed)
        self.finish()

    async def _pass_on(self, sent: "SentBytes", position: int) -> "tuple[int, asyncio.Future[None] | None]":
        """Send what comes, until the player has not read for ``IDLE_SECONDS``; then also what it has still to read."""
        async with aclosing(sent.chunks()) as chunks:
            async for chunk in chunks:
                self.write(chunk)
                position += len(chunk)
                flushed = self.flush()
                if not flushed.done() and not (await asyncio.wait({flushed}, timeout=IDLE_SECONDS))[0]:
                    return position, flushed
                flushed.result()
        return position, None

    async def _until_read(self, flushed: "asyncio.Future[None] | None") -> None:
        if flushed is None:
            return
        if not (await asyncio.wait({flushed}, timeout=PAUSED_SECONDS))[0]:
            raise StreamClosedError()
        flushed.result()


class FileHandler(PlayedHandler):
    """``GET /media/{savepath}/file``: the object as it is stored."""

    async def get(self, savepath: str) -> None:
        recording = self.recording(savepath, self.read_query(MediaQuery).bucket_name)
        await self.while_connected(self.relay(partial(self.service.media.stored, recording)))


class AudioHandler(PlayedHandler):
    """``GET /media/{savepath}/audio``: its sound as an mp3 in which browsers seek exactly."""

    async def get(self, savepath: str) -> None:
        recording = self.recording(savepath, self.read_query(MediaQuery).bucket_name)
        await self.while_connected(self.relay(partial(self.service.media.audio, recording)))


def _extent(sent: "SentBytes") -> tuple[int, int]:
    """First byte of a body, and the one after the last."""
    length = int(sent.headers["Content-Length"])
    if sent.status != 206:
        return 0, length
    start = int(sent.headers["Content-Range"].removeprefix("bytes ").partition("-")[0])
    return start, start + length
