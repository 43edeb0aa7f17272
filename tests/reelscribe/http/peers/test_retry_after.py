"""How long another service asks us to wait."""

from email.utils import formatdate
from time import time

import pytest

from reelscribe.http.peers.retry_after import seconds_to_wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), (" 7 ", 7.0), ("9" * 30, 86400.0), ("soon", None), ("²", None), ("", None), (None, None)],
)
def test_seconds_are_read_and_anything_else_is_not(header: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(header) == seconds


def test_a_date_is_so_many_seconds_from_now() -> None:
    assert seconds_to_wait(formatdate(time() + 120, usegmt=True)) == pytest.approx(120, abs=5)
    assert seconds_to_wait(formatdate(time() - 120, usegmt=True)) == 0.0
    assert seconds_to_wait("Sun, 06 Nov 9999 08:49:37 GMT") == 86400.0
