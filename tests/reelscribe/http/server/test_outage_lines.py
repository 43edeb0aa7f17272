"""An outage is one line in the log of a service, however many requests it refuses."""

import pytest

from reelscribe.errors import BucketUnavailable, ObjectNotFound
from reelscribe.http.server import outage_lines
from reelscribe.http.server.outage_lines import OutageLines


def test_a_reason_is_new_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = OutageLines()
    assert [lines.is_new(BucketUnavailable(bucket)) for bucket in ("a", "a", "b", "a")] == [True, False, True, False]
    assert [lines.is_new(ObjectNotFound("a")) for _ in range(2)] == [True, True]
    monkeypatch.setattr(outage_lines, "QUIET_SECONDS", 0.0)
    assert lines.is_new(BucketUnavailable("a"))
