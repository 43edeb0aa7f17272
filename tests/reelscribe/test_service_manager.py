"""What is reported to systemd, by a socket in its place."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from reelscribe import service_manager


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A socket that receives what this process says; it is asked for a ping in 0.2 s."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(str(tmp_path / "notify"))
        receiving.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        yield receiving


async def received(receiving: socket.socket) -> str:
    async with asyncio.timeout(60):
        return (await asyncio.get_running_loop().sock_recv(receiving, 1000)).decode()


def drain(receiving: socket.socket) -> list[str]:
    """What has come so far."""
    messages = []
    while True:
        try:
            messages.append(receiving.recv(1000).decode())
        except BlockingIOError:
            return messages


async def test_a_service_is_ready_then_pings_and_says_that_it_stops(systemd):
    stopping = asyncio.Event()
    reporting = asyncio.create_task(service_manager.report(stopping))
    assert [await received(systemd) for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    stopping.set()
    while await received(systemd) != "STOPPING=1":
        pass
    assert await received(systemd) == "WATCHDOG=1", "a stop that takes long is no fault"
    reporting.cancel()


async def test_a_blocked_event_loop_sends_no_ping(systemd):
    reporting = asyncio.create_task(service_manager.report(asyncio.Event()))
    await received(systemd)
    drain(systemd)
    time.sleep(0.3)
    assert drain(systemd) == []
    assert await received(systemd) == "WATCHDOG=1"
    reporting.cancel()


async def test_what_has_stalled_is_logged_once_and_not_pinged_for_until_it_moves(systemd, caplog):
    reasons = ["a batch does not end"] * 3
    reporting = asyncio.create_task(service_manager.report(asyncio.Event(), lambda: reasons.pop() if reasons else None))
    assert await received(systemd) == "READY=1"
    assert await received(systemd) == "WATCHDOG=1"
    assert reasons == []
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    reporting.cancel()


@pytest.mark.parametrize(("microseconds", "process"), [("", ""), ("0", ""), ("x", ""), ("200000", "1")])
def test_who_is_not_asked_for_pings_sends_none(systemd, monkeypatch, microseconds, process):
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", process)
    assert service_manager.ping_seconds() is None


def test_without_systemd_nothing_is_sent_and_a_socket_that_is_gone_stops_no_service(systemd, monkeypatch, tmp_path):
    assert service_manager.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not service_manager.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not service_manager.notify("READY=1")


def test_an_abstract_socket_is_known_by_its_at_sign(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(f"\0reelscribe-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@reelscribe-test-{os.getpid()}")
        assert service_manager.notify("READY=1", "STATUS=at work")
        assert receiving.recv(1000) == b"READY=1\nSTATUS=at work"
