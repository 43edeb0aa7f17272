"""A child's output through our pipe: all of it, in order, and its end."""

import asyncio
import subprocess
import sys

import pytest

from reelscribe.media.processes.pipe import PIPE_BYTES, Pipe


def child(pipe: Pipe, program: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", program], stdout=pipe.writing)
    pipe.close_writing()
    return process


async def read_all(pipe: Pipe) -> list[bytes]:
    chunks = []
    while chunk := await asyncio.wait_for(pipe.read(), 60):
        chunks.append(chunk)
    return chunks


@pytest.mark.parametrize("piece", [1, 1000, 32768, 3_000_000])
async def test_every_byte_comes_in_order_whatever_the_childs_writes(piece: int) -> None:
    pipe, total = Pipe(), min(6_000_000, 20_000 * piece)
    program = f"""
import sys
data = bytes(range(251)) * ({total} // 251 + 1)
for at in range(0, {total}, {piece}):
    sys.stdout.buffer.write(data[at : min(at + {piece}, {total})])
    sys.stdout.buffer.flush()
"""
    with child(pipe, program):
        chunks = await read_all(pipe)
    pipe.close()
    assert b"".join(chunks) == (bytes(range(251)) * (total // 251 + 1))[:total]
    assert max(map(len, chunks)) <= PIPE_BYTES


async def test_a_fast_child_is_read_in_large_pieces() -> None:
    pipe = Pipe()
    with child(pipe, "import os\nfor _ in range(2000): os.write(1, bytes(32768))"):
        chunks = await read_all(pipe)
    pipe.close()
    assert sum(map(len, chunks)) / len(chunks) > 100_000


async def test_a_slow_childs_first_bytes_come_immediately() -> None:
    pipe = Pipe()
    with child(pipe, "import os, time\nos.write(1, b'first')\ntime.sleep(600)") as process:
        assert await asyncio.wait_for(pipe.read(), 60) == b"first"
        process.kill()
    pipe.close()


async def test_a_child_whose_pipe_is_closed_ends() -> None:
    pipe = Pipe()
    with child(pipe, "import os\nwhile True: os.write(1, bytes(65536))") as process:
        await pipe.read()
        pipe.close()
        assert process.wait(60) != 0
