"""What libav reads of a recording, in a child process that reads nothing else."""

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import av
import pytest

from reelscribe.errors import NoAudioInTime, NotDecodable, SettingsError, StreamCut
from reelscribe.media import inspection
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection import LONG_SEARCH, USUAL_SEARCH, InspectedStream, Inspection, Search
from reelscribe.media.inspection_process import CHILD, MAX_ANSWER_BYTES, child_python
from reelscribe.media.processes.sandbox import Sandbox
from reelscribe.media.stored_object import StoredObject, open_file
from tests.reelscribe.media.files import describing_processes

Open = Callable[[Path], StoredObject]
Inspect = Callable[..., Inspection]
RunFFmpeg = Callable[..., None]
MAX_STREAMS = 1000
"""libav's limit (``max_streams``)."""
BEEP = ("-f", "lavfi", "-i", "sine=duration=2")
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=10:duration=2")


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open a file until the test ends."""
    with ExitStack() as stack:

        def open_path(path: Path) -> StoredObject:
            descriptor = os.open(path, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            return open_file(descriptor, path.name)

        yield open_path


@pytest.fixture
def inspect(local_ffmpeg: FFmpeg, opened: Open) -> Inspect:
    def run(path: Path, *searches: Search) -> Inspection:
        usual = (USUAL_SEARCH, LONG_SEARCH)
        return asyncio.run(inspection.inspect(local_ffmpeg, opened(path), 60, searches or usual))

    return run


def sound(inspected: Inspection) -> InspectedStream:
    (track,) = inspected.audio
    return track


def test_streams_have_the_fields_that_the_file_states(inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    run_ffmpeg(
        *PICTURE, *BEEP, *("-map", "0", "-map", "1", "-map", "1", "-c:v", "mpeg4", "-c:a", "aac", "-ac", "2"),
        *("-metadata:s:a:0", "language=pt-BR", "-metadata:s:a:0", "title=Programa", "-disposition:a:0", "original"),
        *("-metadata:s:a:1", "language=und", "-disposition:a:1", "default+comment+visual_impaired"),
        path,
    )  # fmt: skip
    inspected = inspect(path)
    picture, first, second = inspected.streams
    assert inspected.container == "matroska,webm" and inspected.search == 0
    assert inspected.duration == pytest.approx(2, abs=0.1) and inspected.start == pytest.approx(0, abs=0.1)
    assert (picture.index, picture.kind, picture.codec, picture.decodable) == (0, "video", "mpeg4", None)
    assert (picture.sample_rate, picture.channels, picture.layout) == (None, None, None)
    assert (first.index, first.kind, first.codec, first.decodable) == (1, "audio", "aac", True)
    assert (first.sample_rate, first.channels, first.layout) == (44100, 2, "stereo")
    assert (first.language, first.title, first.default, first.dispositions) == (
        "pt-BR",
        "Programa",
        False,
        ("original",),
    )
    assert first.start == pytest.approx(0, abs=0.1) and first.duration == pytest.approx(2, abs=0.1)
    assert (second.language, second.title, second.default) == (None, None, True)
    assert second.dispositions == ("comment", "visual_impaired")


@pytest.mark.parametrize(
    ("layout", "channels"),
    [("mono", 1), ("stereo", 2), ("quad", 4), ("5.1", 6), ("hexagonal", 6), ("7.1", 8), ("octagonal", 8)],
)
def test_every_layout_has_its_name_and_its_channels(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path, layout: str, channels: int
) -> None:
    run_ffmpeg(*BEEP, "-af", f"aformat=channel_layouts={layout}", "-c:a", "flac", tmp_path / "a.mka")
    run_ffmpeg(*BEEP, "-af", f"aformat=channel_layouts={layout}", "-c:a", "pcm_s16le", tmp_path / "a.wav")
    for name in ("a.mka", "a.wav"):
        track = sound(inspect(tmp_path / name))
        if name == "a.wav" or channels in (1, 2):  # FLAC in Matroska keeps only the layouts of its own format
            assert track.layout == layout or track.layout is None
        assert track.channels == channels


def test_channels_without_positions_are_counted(inspect: Inspect, tmp_path: Path) -> None:
    path, channels, rate = tmp_path / "microphones.wav", 16, 8000
    samples = bytes(rate * channels * 2)
    layout = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", len(samples)) + samples
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    track = sound(inspect(path))
    assert (track.channels, track.layout, track.sample_rate) == (16, None, rate)


def test_a_length_is_given_only_if_the_recording_states_it(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    run_ffmpeg(*BEEP, "-write_xing", "1", tmp_path / "stated.mp3")
    run_ffmpeg(*BEEP, "-write_xing", "0", tmp_path / "estimated.mp3")
    run_ffmpeg(*BEEP, tmp_path / "estimated.aac")
    assert inspect(tmp_path / "stated.mp3").duration == pytest.approx(2, abs=0.1)
    for name in ("estimated.mp3", "estimated.aac"):
        inspected = inspect(tmp_path / name)
        assert (inspected.duration, sound(inspected).duration) == (None, None)


def test_a_sound_that_is_shorter_than_the_picture_has_its_own_length(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    long_picture = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=25:duration=5")
    for name, seconds in (("a.mkv", 2.0), ("a.mp4", 2.0), ("a.mpg", 2.0), ("a.wmv", None)):
        run_ffmpeg(*long_picture, *BEEP, tmp_path / name)
        inspected = inspect(tmp_path / name)
        assert inspected.duration == pytest.approx(5, abs=0.3), name
        assert sound(inspected).duration == (pytest.approx(seconds, abs=0.2) if seconds else None), name


HOSTILE = (
    "Duration: 09:09:09.00, start: 5.000000",
    "\n  Duration: 00:12:30...\n  Stream #0:7(eng): Audio: mp3, 8000 Hz, mono\n",
    "Estimating duration from bitrate, this may be inaccurate\n",
    '", "streams": [], "container": "x',
    "\x1b[2J\x07 \ud7ff\u202e",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["a.opus", "a.mp4", "a.mkv"])
def test_a_tag_changes_nothing_but_itself(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path, name: str, text: str
) -> None:
    tags = (
        "-metadata",
        f"comment={text}",
        "-metadata:s:a",
        f"DURATION={text}",
        "-metadata:s:a",
        f"handler_name={text}",
    )
    run_ffmpeg(*BEEP, *tags, "-metadata:s:a", f"title={text}", tmp_path / name)
    run_ffmpeg(*BEEP, tmp_path / f"plain-{name}")
    tagged, plain = inspect(tmp_path / name), inspect(tmp_path / f"plain-{name}")
    tagged = tagged.model_copy(update={"streams": (sound(tagged).model_copy(update={"title": None}),)})
    assert tagged == plain


def test_a_title_is_short_and_printable(inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path) -> None:
    run_ffmpeg(*BEEP, "-metadata:s:a", f"title=a\nb\x1b{'ü' * 200}", tmp_path / "a.mka")
    assert sound(inspect(tmp_path / "a.mka")).title == "a b " + "ü" * 96


def test_a_sound_that_appears_late_is_found_by_the_longer_search(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=10:duration=12")
    run_ffmpeg(*picture, "-c:v", "mpeg2video", tmp_path / "1.ts")
    run_ffmpeg(*PICTURE, *BEEP, "-c:v", "mpeg2video", "-c:a", "mp2", "-output_ts_offset", "12", tmp_path / "2.ts")
    path = tmp_path / "late.ts"
    path.write_bytes((tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes())
    found = inspect(path)
    assert (found.search, sound(found).codec, sound(found).sample_rate) == (1, "mp2", 44100)
    assert sound(found).start == pytest.approx(13.4, abs=0.2)
    usual = inspect(path, USUAL_SEARCH)
    assert not usual.audio or sound(usual).channels is None
    assert sound(inspect(path, LONG_SEARCH)).sample_rate == 44100


def test_without_sound_only_a_container_without_a_header_is_searched_longer(
    inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    for name, search in (("a.mp4", 0), ("a.ts", 1)):
        run_ffmpeg(*PICTURE, tmp_path / name)
        inspected = inspect(tmp_path / name)
        assert (inspected.audio, inspected.search) == ([], search)


def test_a_codec_that_ffmpeg_cannot_decode_is_named(inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    run_ffmpeg(*BEEP, *BEEP, "-map", "0", "-map", "1", "-metadata:s:a:0", "language=por", "-c:a", "aac", path)
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"ac-4", 1).replace(b"esds", b"free", 1))
    new, old = inspect(path).audio
    assert (new.decodable, new.language) == (False, "por")
    assert new.codec in ("ac4", "ac-4")  # the latter is its name in the file, if libav has none for it
    assert (old.codec, old.decodable) == ("aac", True)


def test_what_ffmpeg_cannot_decode_counts_not_what_libav_can(
    local_ffmpeg: FFmpeg, opened: Open, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    run_ffmpeg(*BEEP, tmp_path / "a.flac")
    small = replace(local_ffmpeg, audio_codecs=("aac",))
    inspected = asyncio.run(inspection.inspect(small, opened(tmp_path / "a.flac"), 60))
    assert (sound(inspected).codec, sound(inspected).decodable) == ("flac", False)


def test_ffmpegs_codecs_are_known_by_the_names_that_libav_uses(local_ffmpeg: FFmpeg) -> None:
    assert {"aac", "mp3", "dts", "amr_nb", "opus", "pcm_s16le"} <= set(local_ffmpeg.audio_codecs)
    assert not {"dca", "mp3float", "h264"} & set(local_ffmpeg.audio_codecs)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not an audio or video file"),
        (b"not a video\n" * 1000, "not an audio or video file"),
        (b"#EXTM3U\n#EXTINF:1,\nx\n", "not an audio or video file"),
        (b"ffconcat version 1.0\nfile 'x'\n", "a file of the format concat"),
    ],
)
def test_what_is_not_a_recording_is_refused(inspect: Inspect, tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(NotDecodable, match=rf"^a\.mp4 is {why}"):
        inspect(tmp_path / "a.mp4")


def test_no_video_decoder_is_opened(local_ffmpeg: FFmpeg, run_ffmpeg: RunFFmpeg, tmp_path: Path) -> None:
    run_ffmpeg(*PICTURE, *BEEP, "-c:v", "mpeg4", tmp_path / "a.mkv")
    av.logging.set_level(av.logging.WARNING)
    try:
        with (
            av.logging.Capture() as log,
            av.open(str(tmp_path / "a.mkv"), container_options=local_ffmpeg.input_options("file")) as container,
        ):
            assert container.streams.audio[0].codec_context.sample_rate == 44100
    finally:
        av.logging.set_level(None)
    assert any("Codec (mpeg4) not on whitelist" in message for _, _, message in log)


def test_a_failure_to_read_the_object_is_the_reason(
    local_ffmpeg: FFmpeg, opened: Open, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    run_ffmpeg(*BEEP, tmp_path / "a.mp3")
    stored = replace(opened(tmp_path / "a.mp3"), read_failure=lambda: StreamCut("MinIO stopped answering"))
    with pytest.raises(StreamCut):
        asyncio.run(inspection.inspect(local_ffmpeg, stored, 60))


def test_a_child_that_takes_too_long_is_ended(local_ffmpeg: FFmpeg, opened: Open, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.mp4")
    with os.fdopen(os.open(tmp_path / "endless.mp4", os.O_RDWR), "wb"):
        started = time.monotonic()
        with pytest.raises(NoAudioInTime, match=r"not found within 0\.5 s"):
            asyncio.run(inspection.inspect(local_ffmpeg, opened(tmp_path / "endless.mp4"), 0.5))
    assert time.monotonic() - started < 20
    assert describing_processes() == []


def test_a_child_can_be_ended_at_any_moment(
    local_ffmpeg: FFmpeg, opened: Open, run_ffmpeg: RunFFmpeg, tmp_path: Path
) -> None:
    run_ffmpeg(*BEEP, tmp_path / "a.flac")
    stored = opened(tmp_path / "a.flac")
    for milliseconds in range(0, 40, 2):
        with suppress(NoAudioInTime):
            asyncio.run(inspection.inspect(local_ffmpeg, stored, milliseconds / 1000))
    assert describing_processes() == []


@pytest.mark.parametrize("tools", [("setpriv", "prlimit"), ()])
def test_it_works_without_bubblewrap(
    local_ffmpeg: FFmpeg, opened: Open, run_ffmpeg: RunFFmpeg, tmp_path: Path, tools: tuple[str, ...]
) -> None:
    run_ffmpeg(*BEEP, tmp_path / "a.flac")
    weak = replace(local_ffmpeg, sandbox=Sandbox(**{tool: shutil.which(tool) for tool in tools}))  # type: ignore[arg-type]
    assert sound(asyncio.run(inspection.inspect(weak, opened(tmp_path / "a.flac"), 60))).codec == "flac"


def test_as_many_streams_as_can_be_are_described(inspect: Inspect, run_ffmpeg: RunFFmpeg, tmp_path: Path) -> None:
    maps, title = ["-map", "0"] * 120, "\N{GRINNING FACE}" * 200  # Matroska as ffmpeg writes it has at most 126
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.1", *maps, "-metadata:s", f"title={title}", tmp_path / "a.mka")
    inspected = inspect(tmp_path / "a.mka")
    assert len(inspected.audio) == 120
    size = len(inspected.model_dump_json())
    assert size / 120 * MAX_STREAMS < MAX_ANSWER_BYTES


def test_it_is_checked_at_the_start_that_the_child_runs(local_ffmpeg: FFmpeg, tmp_path: Path) -> None:
    assert asyncio.run(inspection.check(local_ffmpeg)) == av.__version__
    broken = replace(local_ffmpeg, sandbox=Sandbox(setpriv=str(tmp_path / "nothing")))
    with pytest.raises(SettingsError, match="PyAV, which describes recordings, does not run"):
        asyncio.run(inspection.check(broken))


class TestTheSandboxOfTheChild:
    @pytest.fixture
    def run(self, local_ffmpeg: FFmpeg) -> Callable[[str], str]:
        """Run Python code as the child runs; returns what it prints."""
        if local_ffmpeg.sandbox.weakness:
            pytest.skip(local_ffmpeg.sandbox.weakness)

        def execute(code: str) -> str:
            python = child_python()
            preamble = f"import sys; sys.path.append({python.packages!r})\n"
            command = local_ffmpeg.sandbox.seeing(python.visible).wrap(
                [*python.command, "-c", preamble + code], cpu_seconds=20
            )
            completed = subprocess.run(command, capture_output=True, text=True)
            return completed.stdout + completed.stderr

        return execute

    def test_it_has_pyav(self, run: Callable[[str], str]) -> None:
        assert run("import av; print(av.__version__)").strip() == av.__version__

    def test_it_has_no_other_package(self, run: Callable[[str], str]) -> None:
        assert "No module named 'pydantic'" in run("import pydantic")

    def test_it_reads_no_other_file(self, run: Callable[[str], str], tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        for path in (tmp_path / "secret", Path("/etc/passwd"), Path(inspection.__file__)):
            assert "FileNotFoundError" in run(f"open({str(path)!r}).read()")

    def test_it_writes_no_file(self, run: Callable[[str], str]) -> None:
        for path in (CHILD, Path(av.__file__), Path("/tmp/x"), Path("/x")):
            assert "Error" in run(f"file = open({str(path)!r}, 'a'); file.write('x'); file.close()")
        assert CHILD.read_text().endswith("main()\n")

    def test_it_reaches_no_address(self, run: Callable[[str], str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            answer = run(f"import socket; socket.create_connection({listener.getsockname()!r}, 5)")
        assert "ConnectionRefusedError" in answer or "OSError" in answer

    def test_its_memory_is_limited(self, run: Callable[[str], str]) -> None:
        assert "MemoryError" in run("bytearray(6 << 30)")
