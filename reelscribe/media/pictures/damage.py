"""Which decoded pictures are damaged, or may depend on one that is; it imports nothing of ours.

A picture depends on pictures that were stored before it, from its key frame on. With B-frames some of them are shown
after it: so it is known only when those were decoded whether it is intact. A decoder with threads reports a packet that
it cannot decode a few packets late: which one it was shows when its picture does not come.
"""

from collections import deque
from typing import Any, NamedTuple

MOST_DELAY = 6
"""Packets after which a decoder reports that it could not decode one; more than it has threads."""


class Verdict:
    """On one picture.

    Attributes:
        damaged: it could not be decoded intact, or depends on one that could not.
        sure_from: once a picture of this timestamp or a later one was decoded, ``damaged`` is certain.
    """

    __slots__ = ("damaged", "key", "place", "sure_from")

    def __init__(self, place: int, key: int, sure_from: int, damaged: bool) -> None:
        self.place, self.key, self.sure_from, self.damaged = place, key, sure_from, damaged


class Decoded(NamedTuple):
    """A picture, its timestamp, and whether it is intact."""

    pts: int
    frame: Any
    verdict: Verdict


class Damage:
    """Watches a decoder.

    Attributes:
        latest: timestamp of the last picture.
        failed: timestamps of packets that could not be decoded; None of one that has none.
    """

    def __init__(self) -> None:
        self.failed: list[int | None] = []
        self.reset()

    def reset(self) -> None:
        """The decoder was emptied, and begins at a key frame: what was decoded before is certain."""
        self.latest: int | None = None
        self._fed: dict[int, tuple[int, int]] = {}
        self._recent: deque[int] = deque(maxlen=MOST_DELAY)
        self._suspects: dict[int, int] = {}
        self._places: list[int] = []
        self._number = self._key = 0
        self._highest: int | None = None
        self._broken = False
        self._unsure: list[Verdict] = []

    def feed(self, stamp: int | None) -> None:
        """The decoder gets a packet; its pictures have the timestamps of their packets, unless that is None."""
        if stamp is None:
            return
        self._highest = stamp if self._highest is None else max(self._highest, stamp)
        self._fed[stamp] = self._number, self._highest
        self._recent.append(stamp)
        self._number += 1

    def fail(self) -> None:
        """The decoder could not decode one of the last packets."""
        suspects = {stamp: self._fed[stamp][0] for stamp in self._recent if stamp in self._fed}
        self._suspects |= suspects
        if not suspects:
            self.failed.append(None)
            self._broken = True

    def judge(self, pts: int, frame: Any) -> Verdict:
        """The decoder gave a picture; they come in the order in which they are shown."""
        for missing in sorted(stamp for stamp in self._suspects if stamp < pts):
            self._lose(missing)
        place, sure_from = self._fed.get(pts, (-1, pts))
        self._suspects.pop(pts, None)
        self._fed = {stamp: fed for stamp, fed in self._fed.items() if stamp > pts}
        if frame.key_frame:
            self._key, self._broken = place, False
            self._places = [other for other in self._places if other >= place]
        if frame.is_corrupt:
            self._mark(place)
        damaged = self._broken or any(self._key <= other <= place for other in self._places)
        verdict = Verdict(place, self._key, sure_from, damaged)
        self.latest = pts
        self._unsure = [other for other in (*self._unsure, verdict) if not self.is_certain(other)]
        return verdict

    def is_certain(self, verdict: Verdict) -> bool:
        """Whether a verdict can change no more."""
        return self.latest is None or verdict.sure_from <= self.latest

    def end(self) -> None:
        """The decoder has given its last picture."""
        for missing in sorted(self._suspects):
            self._lose(missing)
        self.reset()

    def _lose(self, stamp: int) -> None:
        self.failed.append(stamp)
        self._mark(self._suspects.pop(stamp))

    def _mark(self, place: int) -> None:
        if place < 0:
            self._broken = True
            return
        self._places.append(place)
        for other in self._unsure:
            other.damaged = other.damaged or other.key <= place < other.place
