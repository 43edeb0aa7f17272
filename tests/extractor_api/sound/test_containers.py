"""Containers that are rare today: what is read, and what is said of those that are not."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.conftest import runs
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import extract, refusal

RATE = 8000
SECONDS = 3
BEEP = ("-f", "lavfi", "-i", f"aevalsrc=if(between(t\\,1\\,2)\\,0.5*sin(2*PI*440*t)):d={SECONDS}:s=48000")
PAL = ("-f", "lavfi", "-i", f"color=size=720x576:rate=25:duration={SECONDS}")
MADE: dict[str, tuple[str, ...]] = {
    "dv": (*PAL, "-ac", "2"),
    "wtv": (*PAL, "-c:v", "mpeg2video", "-c:a", "mp2"),
    "gxf": (*PAL, "-c:v", "mpeg2video", "-ac", "1", "-c:a", "pcm_s16le"),
    "sox": (),
    "loas": ("-c:a", "aac", "-f", "latm"),
    "mlp": ("-c:a", "mlp", "-strict", "-2"),
    "spdif": ("-c:a", "ac3", "-f", "spdif"),
    "ircam": ("-f", "ircam"),
    "swf": (*PAL, "-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100"),
    "gsm": ("-c:a", "libgsm", "-ar", "8000", "-ac", "1"),
}


def beep() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    time = np.arange(RATE * SECONDS) / RATE
    sound = np.where((time >= 1) & (time < 2), 0.5 * np.sin(2 * np.pi * 440 * time), 0)
    return np.round(sound * 32767).astype(np.int16)


def eight_svx() -> bytes:
    """Amiga IFF: "8SVX" IFF 8-Bit Sampled Voice, 1985."""
    body = (beep() >> 8).astype(np.int8).tobytes()
    header = struct.pack(">IIIHBBI", len(body), 0, 0, RATE, 1, 0, 0x10000)
    chunks = b"VHDR" + struct.pack(">I", len(header)) + header + b"BODY" + struct.pack(">I", len(body)) + body
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"8SVX" + chunks


def nist_sphere() -> bytes:
    """The header of speech corpora (NIST SPHERE 2.6)."""
    lines = (
        *("NIST_1A", "   1024", "channel_count -i 1", f"sample_rate -i {RATE}", f"sample_count -i {len(beep())}"),
        *("sample_n_bytes -i 2", "sample_sig_bits -i 16", "sample_byte_format -s2 01", "sample_coding -s3 pcm"),
        "end_head",
    )
    return ("\n".join(lines) + "\n").encode().ljust(1024) + beep().astype("<i2").tobytes()


def pvf() -> bytes:
    """Of voice modems (mgetty's vgetty)."""
    return f"PVF1\n1 {RATE} 16\n".encode() + beep().astype(">i2").tobytes()


WRITTEN: dict[str, Callable[[], bytes]] = {"8svx": eight_svx, "sph": nist_sphere, "pvf": pvf}


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


@pytest.fixture(scope="session")
def run_local_ffmpeg(local_ffmpeg: FFmpeg) -> Callable[..., None]:
    """That of the wheel has no encoder of GSM."""
    return runs(local_ffmpeg)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return tmp_path / "videos"


def made(path: Path, run_ffmpeg: Callable[..., None]) -> None:
    suffix = path.suffix[1:]
    if suffix in WRITTEN:
        path.write_bytes(WRITTEN[suffix]())
    else:
        options = MADE[suffix]
        inputs = len(PAL) if options[: len(PAL)] == PAL else 0
        run_ffmpeg(*BEEP, *options[:inputs], *options[inputs:], path)


@pytest.mark.parametrize("suffix", [*MADE, *WRITTEN])
async def test_the_sound_is_complete_and_in_its_place(
    extractor: httpx.AsyncClient, videos: Path, run_local_ffmpeg: Callable[..., None], suffix: str
) -> None:
    made(videos / f"a.{suffix}", run_local_ffmpeg)
    answer = await extract(extractor, f"a.{suffix}", channels=1, sample_rate=16000)
    sound = np.frombuffer(answer.content[44:], np.int16).astype(float)
    assert len(sound) / 16000 == pytest.approx(SECONDS, abs=0.5 if suffix == "gxf" else 0.2)  # has large packets
    loud = np.flatnonzero(abs(sound) > 4000) / 16000
    assert (loud[0], loud[-1]) == (pytest.approx(1, abs=0.15), pytest.approx(2, abs=0.15))
    receipt = (await extractor.get(f"/extractions/{answer.headers['X-Extraction-Id']}")).json()
    assert receipt["state"] == "complete"
    probed = (await extractor.get("/probe", params={"savepath": f"a.{suffix}"})).json()
    assert probed["chosen_track"] == 0


@pytest.mark.parametrize(
    ("suffix", "options", "named"),
    [
        ("adx", (), "adx (CRI ADX)"),
        ("ast", ("-c:a", "pcm_s16be_planar", "-ac", "2"), "ast (AST (Audio Stream))"),
        ("apm", ("-c:a", "adpcm_ima_apm", "-ac", "1", "-ar", "22050"), "apm (Ubisoft Rayman 2 APM)"),
        ("srt", None, "srt (SubRip subtitle)"),
        ("ffconcat", None, "concat (Virtual concatenation script)"),
        ("png", ("-f", "image2", "-frames:v", "1"), "png_pipe (piped png sequence)"),
    ],
)
async def test_a_format_that_is_not_read_is_named(
    extractor: httpx.AsyncClient,
    videos: Path,
    run_ffmpeg: Callable[..., None],
    suffix: str,
    options: tuple[str, ...] | None,
    named: str,
) -> None:
    texts = {"srt": "1\n00:00:01,000 --> 00:00:02,000\nHello.\n", "ffconcat": "ffconcat version 1.0\nfile a.wav\n"}
    if options is None:
        (videos / f"a.{suffix}").write_text(texts[suffix])
    else:
        run_ffmpeg(*(PAL if suffix == "png" else BEEP), *options, videos / f"a.{suffix}")
    sentence = f"a.{suffix} is a file of the format {named}, which is not read here"
    assert await refusal(extractor, f"a.{suffix}") == (422, "not_decodable", sentence)
    probed = await extractor.get("/probe", params={"savepath": f"a.{suffix}"})
    assert (probed.status_code, probed.json()["error"]["message"]) == (422, sentence)


async def test_a_format_is_not_named_by_guessing(extractor: httpx.AsyncClient, videos: Path) -> None:
    """libav takes nearly everything for some kind of raw picture, with a low score."""
    random = np.random.default_rng(1)
    for content in (b"hello\n" * 1000, random.bytes(100_000), b"\0\0\1\xb6" + random.bytes(5000)):
        (videos / "a.mp4").write_bytes(content)
        answer = (422, "not_decodable", "a.mp4 is not an audio or video file that ffmpeg can open")
        assert await refusal(extractor, "a.mp4") == answer


async def test_a_few_adts_frames_behind_the_rest_of_another_recording(
    extractor: httpx.AsyncClient, videos: Path, run_ffmpeg: Callable[..., None], each_ffmpeg: FFmpeg
) -> None:
    """ffmpeg knows such a file by its name only, and then stumbles over its beginning."""
    run_ffmpeg(*BEEP, "-c:a", "aac", videos / "whole.aac")
    run_ffmpeg(*BEEP, videos / "whole.mp3")
    before, frames = (videos / "whole.mp3").read_bytes()[2000:3500], adts_frames((videos / "whole.aac").read_bytes())
    (videos / "a.aac").write_bytes(before + b"".join(frames[50:56]))
    command: list[str | Path] = [each_ffmpeg.path, "-v", "error", "-i", "pipe:0", "-f", "null", "-"]
    assert subprocess.run(command, input=(videos / "a.aac").read_bytes(), capture_output=True).stderr
    answer = await extract(extractor, "a.aac")
    sound = np.frombuffer(answer.content[44:], np.int16)
    assert len(sound) / 48000 == pytest.approx(6 * 1024 / 48000, abs=0.03)
    assert abs(sound.astype(int)).max() > 8000
    probed = (await extractor.get("/probe", params={"savepath": "a.aac"})).json()
    assert (probed["container"], probed["streams"][0]["codec"]) == ("aac", "aac")
    source = await extract(extractor, "a.aac", audio_format="source")
    assert (source.headers["Content-Type"], source.content) == ("audio/aac", b"".join(frames[50:56]))


def adts_frames(content: bytes) -> list[bytes]:
    frames = []
    while content:
        length = (content[3] & 3) << 11 | content[4] << 3 | content[5] >> 5
        frames.append(content[:length])
        content = content[length:]
    return frames
