"""What a recording holds: its container and streams as libav reads them, through PyAV in a child process.

The values are libav's own fields, not text that it prints: a tag can say what it likes and changes nothing but itself.
"""

import asyncio
import importlib.util
import json
import logging
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reelscribe.errors import InternalError, NoAudioInTime, NotDecodable, SettingsError
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.process import end_once_started
from reelscribe.media.sandbox import KILLED_EXIT_CODES, Sandbox, child_environment
from reelscribe.media.stored_object import StoredObject

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("inspection_child.py")
MAX_ANSWER_BYTES = 1 << 20
MAX_COMPLAINT_BYTES = 1 << 12
TRIAL_SECONDS = 30

Search = dict[str, str]
"""How far libav looks for streams: its options ``probesize`` (bytes) and ``analyzeduration`` (µs)."""

USUAL_SEARCH: Search = {}
"""libav's own limits: 5 MB, and 5 to 90 s by container."""
LONG_SEARCH: Search = {"probesize": str(128 << 20), "analyzeduration": str(600_000_000)}
"""For sound that begins late in a container without a header."""


SEARCHES = (USUAL_SEARCH, LONG_SEARCH)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class InspectedStream(_Answer):
    """One stream.

    Attributes:
        index: libav's and ffmpeg's number of it.
        kind: ``audio``, ``video``, ``subtitle``, ``data``, ``attachment`` or ``unknown``.
        codec: as ffmpeg names it; ``unknown`` if libav does not know it.
        decodable: whether ffmpeg can decode it; None if it is not audio.
        language: as stored, such as ``pt-BR`` or ``eng``; None if it is missing or ``und``.
        title: its first 100 characters, printable ones only.
        default, forced: its flags.
        dispositions: other flags, named as in libav: ``visual_impaired``, ``comment``, ``dub``, ``original``, …
        start: seconds of the first time stamp.
        duration: seconds, if the container states the length of this stream.
        sample_rate: Hz.
        channels: how many; None if nothing of it was found.
        layout: name of their layout, such as ``5.1(side)``; None if the channels have no known positions.
    """

    index: int
    kind: str
    codec: str
    decodable: bool | None
    language: str | None
    title: str | None
    default: bool
    forced: bool
    dispositions: tuple[str, ...]
    start: float | None
    duration: float | None
    sample_rate: int | None
    channels: int | None
    layout: str | None


class Inspection(_Answer):
    """What a recording holds.

    Attributes:
        container: the demuxer, as ffmpeg names it.
        duration: seconds; None if libav could only estimate it from the bit rate.
        start: seconds of the first time stamp.
        streams: in libav's order.
        search: which of the searches found this; ffmpeg needs the same one to find the same streams.
    """

    container: str
    duration: float | None
    start: float | None
    streams: tuple[InspectedStream, ...]
    search: int

    @property
    def audio(self) -> list[InspectedStream]:
        """The audio tracks; a request's ``track`` is a position in this list."""
        return [stream for stream in self.streams if stream.kind == "audio"]


async def inspect(
    ffmpeg: FFmpeg,
    stored: StoredObject,
    timeout: float,
    searches: Sequence[Search] = SEARCHES,
) -> Inspection:
    """Describe an open object without decoding it.

    Args:
        ffmpeg: that will decode it; its sandbox and its whitelists are used.
        timeout: longest wait, in seconds.
        searches: each is tried only if the one before found no audio, and the container is one in which audio may
            begin late.

    Raises:
        NotDecodable: libav cannot open it.
        NoAudioInTime: there was no answer in time.
        InternalError: the child process was killed, or PyAV does not work here.
    """
    skipped = {"skip_initial_bytes": str(stored.adts_at)} if stored.adts_at else {}
    task = {
        "url": stored.url,
        "options": {
            **ffmpeg.input_options(stored.protocols),
            **skipped,
            "scan_all_pmts": "1",
        },  # the last as ffmpeg does
        "demuxer": "aac" if stored.adts_at else None,
        "codecs": ffmpeg.audio_codecs,
        "searches": list(searches),
    }
    try:
        async with asyncio.timeout(timeout):
            exit_code, answer, complaint = await _run(
                ffmpeg.sandbox, task, timeout, stored.descriptors, stored.needs_network
            )
    except TimeoutError:
        raise NoAudioInTime(
            f"{stored.savepath}: its streams were not found within {timeout:g} s; try again, or raise start_timeout"
        ) from None
    if failure := stored.read_failure():
        raise failure
    return _read(stored.savepath, exit_code, answer, complaint)


async def check(ffmpeg: FFmpeg) -> str:
    """The version of PyAV, after it has run in the sandbox.

    Raises:
        SettingsError: it is not installed, or does not run.
    """
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            _, answer, complaint = await _run(ffmpeg.sandbox, {}, TRIAL_SECONDS)
        return str(json.loads(answer)["version"])
    except (OSError, ValueError, TimeoutError) as failure:
        reason = complaint.strip().splitlines()[-1:] if isinstance(failure, ValueError) else [str(failure)]
        raise SettingsError([f"PyAV, which describes recordings, does not run: {''.join(reason)}"]) from None
    except InternalError as missing:
        raise SettingsError([missing.message]) from None


def _read(savepath: str, exit_code: int, answer: bytes, complaint: str) -> Inspection:
    if exit_code < 0 or exit_code in KILLED_EXIT_CODES:
        killer = KILLED_EXIT_CODES.get(exit_code, f"signal {-exit_code}")
        raise InternalError(f"{savepath}: the process that describes it was killed by {killer}; try again")
    try:
        described = json.loads(answer)
        if "failure" in described:
            log.info("%s: libav cannot open it: %s", savepath, described["failure"])
            if described["format"]:
                raise NotDecodable(f"{savepath} is a file of the format {described['format']}, which is not read here")
            raise NotDecodable(f"{savepath} is not an audio or video file that ffmpeg can open")
        return Inspection.model_validate_json(answer)
    except (ValueError, TypeError, ValidationError) as unreadable:
        log.error("%s: no description (exit code %d): %s; %s", savepath, exit_code, unreadable, complaint)
        raise InternalError(f"{savepath}: its streams could not be described; the log says why") from None


async def _run(
    sandbox: Sandbox, task: dict[str, Any], cpu_seconds: float, descriptors: Sequence[int] = (), network: bool = False
) -> tuple[int, bytes, str]:
    """Run the child: its exit code, its standard output and the end of its standard error.

    Raises:
        InternalError: it writes too much.
    """
    python = child_python()
    command = [*python.command, str(CHILD), json.dumps({**task, "packages": python.packages})]
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *sandbox.seeing(python.visible).wrap(command, cpu_seconds=cpu_seconds, network=network),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=descriptors,
            env=child_environment(),
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
        assert process.stdout and process.stderr
        answer, complaint = await asyncio.gather(
            _read_all(process.stdout, MAX_ANSWER_BYTES), _read_end(process.stderr, MAX_COMPLAINT_BYTES)
        )
        return await process.wait(), answer, complaint.decode(errors="replace")
    finally:
        await asyncio.shield(end_once_started(starting))


async def _read_all(stream: asyncio.StreamReader, most: int) -> bytes:
    content = b""
    while chunk := await stream.read(most):
        content += chunk
        if len(content) > most:
            raise InternalError(f"the description of a recording is longer than {most} bytes")
    return content


async def _read_end(stream: asyncio.StreamReader, most: int) -> bytes:
    content = b""
    while chunk := await stream.read(most):
        content = (content + chunk)[-most:]
    return content


@dataclass(frozen=True)
class ChildPython:
    """The Python that the child runs in.

    Attributes:
        command: the interpreter, without site-packages and without our environment.
        packages: the folder that PyAV is installed in.
        visible: what it must be able to read: the interpreter, PyAV, and the libraries of both.
    """

    command: tuple[str, ...]
    packages: str
    visible: tuple[Path, ...]


@cache
def child_python() -> ChildPython:
    """The Python that runs us, cut down to what the child needs.

    Raises:
        InternalError: PyAV is not installed.
    """
    found = importlib.util.find_spec("av")
    if not found or not found.origin:
        raise InternalError("PyAV is not installed; install reelscribe[extractor]")
    package, started_as = Path(found.origin).resolve().parent, Path(sys.executable)
    interpreter = started_as.resolve()
    library = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / str(sysconfig.get_config_var("INSTSONAME"))
    visible = (
        interpreter,
        started_as.parent.parent / "pyvenv.cfg",  # if the virtual environment has a copy of the interpreter
        library,
        library.resolve(),
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix})),  # not that of our environment
        package,
        package.with_name("av.libs"),
        CHILD,
    )
    return ChildPython((str(interpreter), "-I", "-S", "-B"), str(package.parent), tuple(dict.fromkeys(visible)))
