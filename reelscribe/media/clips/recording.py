"""The open recording of a clip or preview, in the program :mod:`reelscribe.media.pictures.child`."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from reelscribe.media.pictures.damage import Damage, Decoded
from reelscribe.media.pictures.source import (
    RESTART_SECONDS,
    WITHOUT_PTS,
    Failed,
    check_size,
    check_storage,
    opened,
    prepare,
    usual_span,
)
from reelscribe.media.pictures.timing import Clock, beginning

BACK_OFF_SECONDS = (0, 1, 2, 4, 8, 16, 32)
"""Before the start, tried in turn: a seek may land behind its target."""

UNSURE_SECONDS = 1
"""For so long after a seek in MPEG-PS, libav may give frames the timestamps of others."""


class Recording:
    """The open input.

    Attributes:
        clock: of the picture.
        damage: of what was decoded since the last seek; reads that failed are among its ``failed``.
    """

    def __init__(self, av: Any, task: dict[str, Any]) -> None:
        self._av, self._task = av, task
        self.damage = Damage()
        self._open()

    def _open(self) -> None:
        task = self._task
        self._container, self._is_untouched = opened(self._av, task), True
        streams = self._container.streams
        if task["picture"] >= len(streams) or streams[task["picture"]].type != "video":
            raise Failed("no_pictures")
        self.picture = streams[task["picture"]]
        self.sound = streams[task["sound"]] if task["sound"] is not None else None
        self.without_pts = self._container.format.name in WITHOUT_PTS
        self._usual = usual_span(self.picture)
        self.lead = UNSURE_SECONDS if self._container.format.name == "mpeg" else 0
        origin = beginning(self._container.start_time, self._av.time_base, task["origin"])
        self.clock = Clock(Fraction(self.picture.time_base), origin)
        if task["work"] == "cut":
            prepare(self.picture, task)

    def placed(self, pts: int) -> dict[str, Any]:
        """The same for the parent."""
        clock = self.clock
        seconds = float(clock.seconds(pts))
        return {"pts": pts, "time_base": str(clock.unit), "seconds": seconds, "origin": str(clock.origin)}

    def reached(self, pts: int, time: Fraction) -> bool:
        """Whether a timestamp is not after ``time``."""
        return pts <= self.clock.tick(time)

    def sought(self, start: Fraction) -> Iterator[bool]:
        """Positions before ``start``, each nearer to the beginning; True for the beginning itself."""
        for back in BACK_OFF_SECONDS:
            target = start - back
            if target <= 0:
                break
            self._is_untouched = False
            try:
                self._container.seek(self.clock.tick(target), stream=self.picture, backward=True, any_frame=False)
            except self._av.error.FFmpegError:
                continue
            self._forget(beginning=False)
            yield False
        if not self._is_untouched:
            self._open()
        self._forget(beginning=True)
        yield True

    def _forget(self, *, beginning: bool) -> None:
        self.damage, self._beginning = Damage(), beginning

    def packets(self, streams: list[Any]) -> Iterator[Any]:
        """Packets from here on; an empty one of each stream at the end."""
        self._is_untouched = False
        try:
            yield from self._container.demux(streams)
        except self._av.error.FFmpegError as failure:
            check_storage(failure)
            self.damage.failed.append(None)

    def frames(self) -> Iterator[Decoded]:
        """Frames of the picture from here on, in the order in which they are shown."""
        latest: Any = None
        for packet in self.packets([self.picture]):
            for frame in self._decoded(packet, may_fail=latest is None and not self._beginning):
                if self.without_pts:
                    frame.pts = frame.dts if frame.dts is not None or latest is None else latest + self._usual
                check_size(self._task, frame.width, frame.height)
                if None not in (frame.pts, latest) and frame.pts <= latest - RESTART_SECONDS / self.clock.unit:
                    raise Failed("restarts", float(self.clock.seconds(latest)))
                if frame.pts is None or (latest is not None and frame.pts <= latest):
                    continue
                latest = frame.pts
                yield Decoded(frame.pts, frame, self.damage.judge(latest, frame))
        self.damage.end()

    def _decoded(self, packet: Any, *, may_fail: bool) -> list[Any]:
        """Of one packet; ``may_fail``: after a seek what comes before a key frame says nothing."""
        ended = packet.dts is None and packet.pts is None
        if not self.without_pts:
            self.damage.feed(packet.pts)
        try:
            frames: list[Any] = self.picture.codec_context.decode(None if ended else packet)
            return frames
        except self._av.error.EOFError:
            return []
        except self._av.error.FFmpegError:
            if not may_fail:
                self.damage.fail()
            return []

    def frames_from(self, start: Fraction) -> Iterator[Decoded]:
        """Frames from the one that is shown at ``start`` on; the first one if the picture begins later."""
        for from_beginning in self.sought(start):
            frames = self.frames()
            held = next(frames, None)
            if not from_beginning and (held is None or not self.reached(held.pts, start - self.lead)):
                continue
            if held is None:
                return
            for frame in frames:
                if not self.reached(frame.pts, start):
                    yield held
                    yield frame
                    yield from frames
                    return
                held = frame
            yield held
            return
