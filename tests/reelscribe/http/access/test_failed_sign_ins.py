"""How often a client may show a wrong token."""

import pytest

from reelscribe.http.access import failed_sign_ins
from reelscribe.http.access.failed_sign_ins import MOST_FAILURES, WINDOW_SECONDS, FailedSignIns


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(failed_sign_ins, "time", clock)
    return clock


def fail(failed: FailedSignIns, client: str, times: int = MOST_FAILURES) -> None:
    for _ in range(times):
        assert failed.wait_seconds(client) == 0
        failed.note(client)


def test_a_client_waits_for_the_end_of_its_window_after_too_many(clock: Clock) -> None:
    failed = FailedSignIns()
    fail(failed, "192.0.2.1", 1)
    clock.now += 100
    fail(failed, "192.0.2.1", MOST_FAILURES - 1)
    assert failed.wait_seconds("192.0.2.1") == WINDOW_SECONDS - 100
    assert failed.wait_seconds("192.0.2.2") == 0, "others do not wait"
    clock.now += WINDOW_SECONDS - 100
    fail(failed, "192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_whoever_has_a_network_is_one_client(one: str, other: str, same: bool, clock: Clock) -> None:
    failed = FailedSignIns()
    fail(failed, one)
    assert bool(failed.wait_seconds(other)) == same


def test_its_memory_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(failed_sign_ins, "MOST_CLIENTS", 3)
    failed = FailedSignIns()
    for number in range(4):
        fail(failed, f"192.0.2.{number}")
    assert len(failed) == 3
    assert [bool(failed.wait_seconds(f"192.0.2.{number}")) for number in range(4)] == [False, True, True, True]
