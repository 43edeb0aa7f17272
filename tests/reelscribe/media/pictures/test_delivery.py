"""What is sent of pictures."""

import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from reelscribe.media.pictures import delivery
from reelscribe.media.pictures.damage import Decoded, Verdict
from reelscribe.media.pictures.delivery import Outbox, show
from reelscribe.media.pictures.packets import Moments
from reelscribe.media.pictures.source import Failed
from reelscribe.media.pictures.timing import Clock


class SlowEncoder:
    def encode(self, frame: Any) -> tuple[bytes, dict[str, Any]]:
        time.sleep(0.05)
        return b"%d" % frame, {}


class Failing:
    def decoded(self) -> Iterator[tuple[int, Decoded]]:
        for pts in range(5):
            yield pts, Decoded(pts, pts, Verdict(pts, 0, pts, damaged=False))
        raise Failed("too_large")


def test_pictures_before_a_failure_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(delivery, "send", lambda event, picture, **_: sent.append(picture))
    moments = Moments({"start": "0", "step": "1", "end": None}, Clock(Fraction(1), Fraction(0)))
    damage = SimpleNamespace(is_certain=lambda verdict: True)
    outbox = Outbox(lambda: damage, SlowEncoder())  # type: ignore[arg-type, return-value]
    with pytest.raises(Failed):
        show(Failing(), moments, outbox)  # type: ignore[arg-type]
    assert sent == [b"0", b"1", b"2", b"3"]
