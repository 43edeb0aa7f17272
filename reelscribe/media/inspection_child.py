"""Describes one recording with libav, as JSON on standard output; :mod:`reelscribe.media.inspection` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours. Usage: ``python -I -S inspection_child.py PACKAGES``, the folder that PyAV is installed in.
When PyAV is loaded, one message comes from the socket that is standard input, and after it messages with open files, of
which each holds as many as fit. The first is a JSON object of

* ``descriptors``: the numbers under which the files are needed;
* ``url`` and ``options``: for ``avformat_open_input``; without ``url``, only the version of PyAV is printed;
* ``demuxer``: that must be used; null to find it;
* ``codecs``: names of the audio codecs that ffmpeg can decode;
* ``searches``: options for one attempt each, until one finds an audio stream with its format.

The fields of the output are those of :class:`reelscribe.media.inspection.Inspection`, or ``failure``: libav's message,
and ``format``: that of the input, such as "dhav (Video DAV)", if it is none of those that may be opened.
"""

import fcntl
import json
import os
import re
import socket
import sys
from typing import Any

LATE_STREAMS = ("mpegts", "mpeg", "flv", "dhav", "pva", "ty", "wtv")
"""Demuxers that have no header: they find a stream, or its format, only when its first packet comes."""

ONE_LENGTH = ("asf", "flv", "matroska,webm", "rm")
"""Demuxers that give every stream the length of the container."""

DISPOSITIONS = (
    *("dub", "original", "comment", "lyrics", "karaoke"),
    *("hearing_impaired", "visual_impaired", "clean_effects", "descriptions"),
)
COVERS = {"attached_pic", "still_image", "timed_thumbnails"}
LONGEST_TASK_BYTES = 1 << 18
MOST_FILES = 253
"""The kernel's limit for one message (SCM_MAX_FD)."""

LONGEST_TITLE = 100
LONGEST_LANGUAGE = 35
"""Characters (RFC 5646, section 4.4.1). 1000 streams, the most that libav allows, then fit into 1 MiB."""

_ESTIMATED = "Estimating duration from bitrate, this may be inaccurate"
"""The complete message with which libav says so (estimate_timings_from_bit_rate); it has no other sign of it."""

UNSURE_SCORE = 50
"""libav's AVPROBE_SCORE_EXTENSION: no more certain than by the name of a file."""

_REFUSED = "Format not on whitelist"
_PROBED = re.compile(r"Format (\S+) probed with size=\d+ and score=(\d+)")
"""Messages of libav (libavformat/demux.c, format.c), which come before anything of the input is read."""

_TAGGED_SECONDS = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_UNNAMED_LAYOUT = re.compile(r"\d+ channels")


def describe(av: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Open the input, with the next search if no audio is found."""
    described: dict[str, Any] = {}
    for number, search in enumerate(task["searches"]):
        with av.logging.Capture() as log:
            container = _open(av, task, search)
        with container:
            estimated = any(message.strip() == _ESTIMATED for _, _, message in log)
            described = {"search": number, **_container(av, container, estimated, set(task["codecs"]))}
        found = any(stream["kind"] == "audio" and stream["channels"] for stream in described["streams"])
        if found or described["container"] not in LATE_STREAMS:
            break
    return described


def _open(av: Any, task: dict[str, Any], search: dict[str, str]) -> Any:
    # PyAV 19 has no such argument any more: it always keeps what is not UTF-8 that way.
    errors = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(task["url"], format=task["demuxer"], container_options={**task["options"], **search}, **errors)


def _refused_format(av: Any, task: dict[str, Any]) -> str | None:
    """Name and title of the demuxer that libav chose, surely, and did not run because it is not on the whitelist."""
    av.logging.set_level(av.logging.DEBUG)
    with av.logging.Capture() as log:
        try:
            _open(av, task, {}).close()
        except av.error.FFmpegError as failure:
            if not failure.log or not failure.log[2].startswith(_REFUSED):
                return None
    scores = [(match[1], int(match[2])) for _, _, message in log if (match := _PROBED.match(message))]
    name = next((name for name, score in scores if score > UNSURE_SCORE), None)
    return name and f"{name} ({av.format.ContainerFormat(name, 'r').long_name})"


def _container(av: Any, container: Any, estimated: bool, codecs: set[str]) -> dict[str, Any]:
    stated = container.duration is not None and container.duration >= 0 and not estimated
    names = _undecodable_names(av, container)
    return {
        "container": container.format.name,
        "duration": container.duration / av.time_base if stated else None,
        "start": None if container.start_time is None else container.start_time / av.time_base,
        "streams": [_stream(stream, container.format.name, estimated, codecs, names) for stream in container.streams],
    }


def _stream(stream: Any, demuxer: str, estimated: bool, codecs: set[str], names: dict[int, str]) -> dict[str, Any]:
    decoder, kind = stream.codec_context, stream.type or "unknown"
    codec = decoder.codec.canonical_name if decoder else names.get(stream.index, "unknown")
    audio = decoder if kind == "audio" else None
    layout = audio.layout if audio else None
    set_dispositions = dispositions(stream)
    language = _tag(stream, "language", LONGEST_LANGUAGE)
    named = layout and layout.nb_channels and not _UNNAMED_LAYOUT.fullmatch(layout.name)
    return {
        "index": stream.index,
        "kind": kind,
        "codec": codec,
        "decodable": codec in codecs if kind == "audio" else None,
        "language": None if language == "und" else language,
        "title": _tag(stream, "title", LONGEST_TITLE),
        "default": "default" in set_dispositions,
        "forced": "forced" in set_dispositions,
        "dispositions": [name for name in DISPOSITIONS if name in set_dispositions],
        "start": _seconds(stream, stream.start_time),
        "duration": _duration(stream, demuxer, estimated),
        "sample_rate": (audio.sample_rate or None) if audio else None,
        "channels": (layout.nb_channels or None) if layout else None,
        "layout": layout.name if layout and named else None,
        "width": (decoder.width or None) if decoder and kind == "video" else None,
        "height": (decoder.height or None) if decoder and kind == "video" else None,
        "cover": not COVERS.isdisjoint(set_dispositions),
    }


def _tag(stream: Any, name: str, longest: int) -> str | None:
    stored = stream.metadata.get(name, "").encode(errors="surrogateescape")
    text = stored.decode(errors="replace")[:longest]
    return "".join(letter if letter.isprintable() else " " for letter in text).strip() or None


def dispositions(stream: Any) -> set[str]:
    """The flags of a stream, named as in libav."""
    return {str(flag.name) for flag in type(stream.disposition) if flag in stream.disposition}


def _seconds(stream: Any, ticks: int | None) -> float | None:
    return None if ticks is None or not stream.time_base else float(ticks * stream.time_base)


def _duration(stream: Any, demuxer: str, estimated: bool) -> float | None:
    """The stream's own length in seconds; Matroska's is in the tag DURATION, whose name may end with a language."""
    if demuxer not in ONE_LENGTH:
        return None if estimated else _seconds(stream, stream.duration)
    if demuxer == "matroska,webm":
        for name, text in stream.metadata.items():
            match = _TAGGED_SECONDS.fullmatch(text)
            if match and name.upper().split("-")[0] == "DURATION":
                return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return None


def _undecodable_names(av: Any, container: Any) -> dict[int, str]:
    """Names of the codecs for which libav has no decoder, by stream; PyAV has them in its printed description only.

    A stream's language is part of the same line, so a hostile one can change this name, and nothing else.
    """
    if all(stream.codec_context for stream in container.streams):
        return {}
    av.logging.set_level(av.logging.INFO)
    lines = re.compile(
        r"^  Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\([^()\n]*\))?: [A-Z][a-z]+: (?:none \(([\w-]+)|(\w+))", re.MULTILINE
    )
    return {int(match[1]): (match[2] or match[3]).lower() for match in lines.finditer(container.dumps_format())}


def receive() -> dict[str, Any] | None:
    """The task, once it comes; None if who could give it is gone."""
    with socket.socket(fileno=sys.stdin.fileno()) as giver:
        message = giver.recv(LONGEST_TASK_BYTES)
        if not message:
            return None
        task: dict[str, Any] = json.loads(message)
        numbers: list[int] = task["descriptors"]
        for first in range(0, len(numbers), MOST_FILES):
            _, files, _, _ = socket.recv_fds(giver, 1, MOST_FILES)
            _renumber(files, numbers[first : first + MOST_FILES], above=max(numbers))
    return task


def _renumber(files: list[int], numbers: list[int], above: int) -> None:
    """Give open files other numbers; those of ``files`` may be needed for another one."""
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD, above + 1) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(aside, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)


def main() -> None:
    sys.path.append(sys.argv[1])
    import av

    task = receive()
    if task is None:
        return
    answer: dict[str, Any]
    if "url" in task:
        av.logging.set_level(av.logging.WARNING)
        av.logging.set_skip_repeated(False)
        try:
            answer = describe(av, task)
        except av.error.FFmpegError as failure:
            answer = {"failure": str(failure), "format": _refused_format(av, task)}
    else:
        answer = {"version": av.__version__}
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode(errors="replace"))
    sys.stdout.buffer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
