"""``orchestrator mcp`` as an assistant starts it: nothing but the protocol on standard output, and a clean end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
from mcp import Client, StdioServerParameters

from orchestrator.database import embedded
from orchestrator.database.pool import prepare
from tests.orchestrator.commands import Command, Orchestrator

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


async def send(command: Command, *messages: dict[str, Any] | bytes) -> None:
    assert command.process.stdin
    for message in messages:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        command.process.stdin.write(line + b"\n")
    await command.process.stdin.drain()


async def received(command: Command) -> dict[str, Any]:
    assert command.process.stdout
    line = await asyncio.wait_for(command.process.stdout.readline(), 60)
    message: dict[str, Any] = json.loads(line)
    assert message["jsonrpc"] == "2.0"
    return message


async def test_the_packages_own_client_starts_it_and_uses_the_tools(orchestrator, store_transcript):
    await store_transcript("a.mp4", "your very happy horse")
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "orchestrator", "mcp", "--config", str(orchestrator.config)],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PATH": os.environ["PATH"]},
    )
    async with Client(command) as client:
        found = await client.call_tool("search", {"query": "happy horse"})
        assert found.structured_content["hits"][0]["link"].endswith("/media/a.mp4?q=happy#t=0.0")
        read = await client.call_tool("transcript", {"savepath": "a.mp4", "around": 1})
        assert read.structured_content["segments"] == [{"start": 0.0, "end": 3.0, "text": "your very happy horse"}]
        submitted = await client.call_tool("submit", {"savepaths": ["b.mp4"]})
        assert submitted.structured_content["jobs"][0]["outcome"] == "new"


async def test_it_ends_with_its_input_and_stops_the_postgresql_that_it_has_started(data_dir: Path, tmp_path: Path):
    with embedded.running(data_dir) as url:
        prepare(url)
    config = tmp_path / "config.cfg"
    config.write_text(f"[database]\ndata_dir = {data_dir}\n")
    command = await Orchestrator(config).start("mcp")
    await send(command, b"no message", b"x" * (2 << 20), HELLO)
    assert (await received(command))["result"]["serverInfo"]["name"] == "reelscribe"
    assert postgres_of(data_dir)
    assert command.process.stdin
    command.process.stdin.close()
    ended = await command.ends()
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "a message of more than 1048576 bytes is left out\n"
    assert not postgres_of(data_dir)


def postgres_of(data_dir: Path) -> list[int]:
    return [
        process.pid for process in psutil.process_iter(["cmdline"]) if str(data_dir) in (process.info["cmdline"] or ())
    ]


async def test_a_call_with_half_a_character_is_answered(orchestrator):
    command = await orchestrator.start("mcp")
    cut = b'{"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "transcript:///\\ud83d"}}'
    await send(command, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}, cut)
    await received(command)
    assert "\N{REPLACEMENT CHARACTER} has not been submitted" in (await received(command))["error"]["message"]
    assert command.process.stdin
    command.process.stdin.close()
    assert (await command.ends()).code == 0


async def test_what_else_is_printed_by_children_too_goes_to_standard_error():
    program = (
        "import subprocess; from orchestrator.assistants.stdio import standard_streams\n"
        "with standard_streams() as (given, taken):\n"
        "    print('ours'); subprocess.run(['sh', '-c', 'echo a child; cat'])\n"
        "    taken.write(given.readline()); taken.flush()\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], input=b"a message\n", capture_output=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, b"a message\n")
    assert sorted(ended.stderr.splitlines()) == [b"a child", b"ours"]


async def test_ctrl_c_and_sigterm_end_it_while_it_waits_for_a_message(orchestrator):
    signals = (signal.SIGINT, signal.SIGTERM)
    commands = [await orchestrator.start("mcp") for _ in signals]
    for command, number in zip(commands, signals, strict=True):
        await send(command, HELLO)
        await received(command)
        command.process.send_signal(number)
    for command in commands:
        assert await asyncio.wait_for(command.process.wait(), 60) == 130
        assert command.process.stderr and await command.process.stderr.read() == b""


async def test_it_ends_when_the_reader_has_left(orchestrator):
    command = await orchestrator.start("mcp")
    await send(command, HELLO)
    await received(command)
    command.process._transport.get_pipe_transport(1).close()
    await send(command, {"jsonrpc": "2.0", "id": 2, "method": "ping"})
    assert await asyncio.wait_for(command.process.wait(), 60) == 141
    assert command.process.stderr and await command.process.stderr.read() == b""


async def test_without_a_database_it_says_what_to_do_and_makes_none(tmp_path: Path):
    config = tmp_path / "config.cfg"
    config.write_text("[database]\ndata_dir = data\n")
    ended = await Orchestrator(config).run("mcp")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("there is no database yet") and not (tmp_path / "data").exists()


async def test_over_http_it_is_a_service_that_stops_with_0_and_needs_a_free_port(orchestrator, free_port):
    config = orchestrator.config.read_text()
    orchestrator.config.write_text(config.replace(f"port = {free_port}", "") + f"[mcp]\nport = {free_port}\n")
    command = await orchestrator.start("mcp", "--http")
    await command.says("mcp: server running on")
    async with Client(f"http://127.0.0.1:{free_port}/mcp") as client:
        assert not (await client.call_tool("list_recordings", {})).is_error
    second = await orchestrator.run("mcp", "--http")
    assert (second.code, second.out) == (2, "")
    assert second.err == f"cannot listen on 127.0.0.1:{free_port}: Address already in use\n"
    assert (await command.ends(signal.SIGTERM)).code == 0
