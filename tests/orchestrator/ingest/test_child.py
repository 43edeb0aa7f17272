"""What yt-dlp's process may do: connect to the internet and to named hosts, and start no program that connects."""

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from orchestrator.ingest.child import is_public

GUARDED = """
import socket, subprocess, sys
from orchestrator.ingest.child import Guard, Refused, proxy_hosts
guard = Guard(proxy_hosts())
for host in sys.argv[3:]:
    guard.allow(host)
try:
    if sys.argv[1] == "connect":
        socket.create_connection(("localhost", int(sys.argv[2])))
    else:
        subprocess.run(["echo", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
    print("done")
except Refused as refused:
    print(refused)
"""


def guarded(*arguments: str, **proxies: str) -> str:
    """What becomes of it with these proxies; the guard cannot be taken back from a process."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | proxies
    command = [sys.executable, "-c", GUARDED, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert not ran.stderr, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("named", "outcome"),
    [
        ([], "is a private address"),
        (["localhost"], "done"),
        (["a.invalid"], "is a"),
        (["localhost", "a.invalid"], "is a"),
    ],
)
def test_a_private_address_is_that_of_the_host_named_last_or_refused(named: list[str], outcome: str) -> None:
    with closing(socket.create_server(("localhost", 0))) as server:
        assert outcome in guarded("connect", str(server.getsockname()[1]), *named)


@pytest.mark.parametrize(("name", "outcome"), [("all_proxy", "done"), ("no_proxy", "is a private address")])
def test_a_proxy_may_have_a_private_address_and_what_needs_none_may_not(name: str, outcome: str) -> None:
    with closing(socket.create_server(("localhost", 0))) as server:
        assert outcome in guarded("connect", str(server.getsockname()[1]), **{name: "localhost"})


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("file:media.f1.mp4", "done"),
        ("https://example.com/live.m3u8", "echo would open addresses that cannot be checked"),
    ],
)
def test_a_program_gets_no_address(word: str, outcome: str) -> None:
    assert guarded("run", word) == outcome


def test_private_addresses_are_those_that_no_one_else_can_reach() -> None:
    private = ["10.0.0.1", "127.0.0.2", "169.254.169.254", "100.64.0.1", "192.168.1.1"]
    private += [
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "64:ff9b:1::a00:1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "fec0::1",
        "ff0e::1",
        "224.0.0.1",
        "nonsense",
    ]
    assert [address for address in private if is_public(address)] == []
    assert all(map(is_public, ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")))
