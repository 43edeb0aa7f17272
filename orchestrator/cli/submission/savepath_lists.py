"""Where the savepaths of a submission come from: arguments, lines of a file, or the listing of the bucket."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from orchestrator.intake.bucket import Objects, identity
from orchestrator.intake.submission import CHUNK
from orchestrator.jobs.object_changes import Identity
from reelscribe.savepath import mistake_in

READ_BYTES = 1 << 18
LONGEST_LINE = 8192
"""Bytes of a line that are looked at; no savepath is as long."""


class Refusal(NamedTuple):
    """A line that cannot be a savepath, and why."""

    where: str
    reason: str


class Block(NamedTuple):
    """Some savepaths in their order, each with the identity of its object if that is known, and what was refused."""

    savepaths: dict[str, Identity | None]
    refusals: Sequence[Refusal] = ()


Source = AsyncIterator[Block]


async def named(savepath: str) -> Source:
    """A savepath that has been checked."""
    yield Block({savepath: None})


async def lines(file: BinaryIO, advance: Callable[[int], None] = lambda read: None) -> Source:
    """The lines of an open file or pipe, one savepath each; empty ones are skipped.

    Args:
        advance: called repeatedly with the number of bytes read.
    """
    before, rest = 0, b""
    while block := await _read(file.fileno()):
        advance(len(block))
        *complete, rest = (rest + block).split(b"\n")
        rest = rest[:LONGEST_LINE]
        yield _checked(complete, file.name, before + 1)
        before += len(complete)
    yield _checked([rest], file.name, before + 1)


async def listed(
    objects: Objects,
    bucket: str,
    prefix: str,
    is_recording: Callable[[str, str], bool],
    skip: Callable[[str], None],
) -> Source:
    """All recordings of the bucket whose savepaths start with ``prefix``.

    Args:
        is_recording: whether the object of this bucket and savepath is one.
        skip: called with the savepath of each other object.

    Raises:
        ServiceError: the extractor does not answer, or refuses.
    """
    async for page in objects.pages(bucket, prefix):
        recordings: dict[str, Identity | None] = {}
        for found in page:
            if is_recording(bucket, found.savepath):
                recordings[found.savepath] = identity(found) if found.etag else None
            else:
                skip(found.savepath)
        yield Block(recordings)


async def chunks(
    sources: Iterable[Source], refuse: Callable[[Refusal], None]
) -> AsyncIterator[dict[str, Identity | None]]:
    """The savepaths of all sources, as many at a time as one transaction takes; refusals are reported on the way."""
    chunk: dict[str, Identity | None] = {}
    for source in sources:
        async for block in source:
            for refusal in block.refusals:
                refuse(refusal)
            for savepath, known in block.savepaths.items():
                chunk[savepath] = known
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = {}
    if chunk:
        yield chunk


def _checked(lines: list[bytes], name: str, first: int) -> Block:
    savepaths: dict[str, Identity | None] = {}
    refusals: list[Refusal] = []
    for number, line in enumerate(lines, start=first):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.rstrip(b"\r")
        if not line.strip():
            continue
        try:
            savepath = line.decode()
        except UnicodeDecodeError:
            refusals.append(Refusal(f"{name}:{number}", "is not UTF-8 text"))
            continue
        if mistake := mistake_in(savepath):
            refusals.append(Refusal(f"{name}:{number}", mistake))
        else:
            savepaths[savepath] = None
    return Block(savepaths, refusals)


async def _read(descriptor: int) -> bytes:
    """Some bytes, empty at the end; waits for a slow pipe in a way that Ctrl-C can end."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    with suppress(PermissionError):  # a regular file: always readable
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(descriptor)
    return os.read(descriptor, READ_BYTES)
