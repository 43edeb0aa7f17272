"""Sound that ffmpeg cannot decode, or takes for something else: nothing of it is called complete and is not."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.extractor_api.sound.test_channels import refusal
from tests.media_matrix.answers import Answer, ask
from tests.reelscribe.media.structure.conftest import chunk

BEEPS = ("-f", "lavfi", "-i", "aevalsrc=0.5*between(mod(t\\,5)\\,1\\,2)*sin(2*PI*440*t):d=10:s=48000")
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=10")
KEY = "76a6c65c5ea762046bd749a2e632ccbb"
PACKET_BYTES, SOUND_PID = 188, 0x101


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


async def asked(extractor: httpx.AsyncClient, tmp_path: Path, name: str, content: bytes) -> Answer:
    (tmp_path / "videos" / name).write_bytes(content)
    return await ask(extractor, name)


async def test_an_encrypted_track_is_named(
    extractor: httpx.AsyncClient, run_ffmpeg: Callable[..., None], tmp_path: Path
) -> None:
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY)
    run_ffmpeg(*BEEPS, *scheme, tmp_path / "videos/a.mp4")
    sentence = "a.mp4: its audio track is encrypted, and there is no key here"
    assert await refusal(extractor, "a.mp4") == (422, "not_decodable", sentence)


@pytest.fixture
def transport_stream(run_ffmpeg: Callable[..., None], tmp_path: Path) -> bytes:
    run_ffmpeg(*PICTURE, *BEEPS, "-c:v", "mpeg2video", "-c:a", "aac", tmp_path / "a.ts")
    return (tmp_path / "a.ts").read_bytes()


def scrambled(content: bytes, first: float, last: float) -> bytes:
    """The payload of the sound's packets from one part of them to another is random; its PES headers are not."""
    noise, changed = random.Random(1), bytearray(content)
    packets = range(0, len(content), PACKET_BYTES)
    sound = [at for at in packets if int.from_bytes(content[at + 1 : at + 3], "big") & 0x1FFF == SOUND_PID]
    for at in sound[int(first * len(sound)) : int(last * len(sound))]:
        start = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
        if content[at + 1] & 0x40:
            start += 9 + content[start + 8]
        end = at + PACKET_BYTES
        changed[start:end] = noise.randbytes(end - start)
    return bytes(changed)


@pytest.mark.parametrize(
    ("first", "last", "beep"), [(0.5, 1.0, 1), (0.0, 0.4, 6)], ids=["behind the last", "before the first"]
)
async def test_sound_that_cannot_be_decoded_is_missing_also_outside_of_what_can(
    extractor: httpx.AsyncClient, tmp_path: Path, transport_stream: bytes, first: float, last: float, beep: float
) -> None:
    answer = await asked(extractor, tmp_path, "a.ts", scrambled(transport_stream, first, last))
    assert (answer.state, answer.delivered) == ("incomplete", pytest.approx(5, abs=2)), answer
    assert [found.start for found in answer.beeps] == [pytest.approx(beep, abs=0.05)], answer
    assert answer.reason and "s more are damaged" in answer.reason, answer
    assert (await asked(extractor, tmp_path, "a.ts", transport_stream)).state == "complete"


async def test_a_codec_that_changes_is_named(
    extractor: httpx.AsyncClient, run_ffmpeg: Callable[..., None], tmp_path: Path, transport_stream: bytes
) -> None:
    later = ("-output_ts_offset", "10", "-c:v", "mpeg2video", "-c:a", "mp2")
    run_ffmpeg(*PICTURE, *BEEPS, *later, tmp_path / "b.ts")
    answer = await asked(extractor, tmp_path, "a.ts", transport_stream + (tmp_path / "b.ts").read_bytes())
    assert (answer.state, answer.delivered) == ("incomplete", pytest.approx(10, abs=0.1)), answer
    assert answer.reason and "its sound continues in another codec" in answer.reason, answer


@pytest.mark.parametrize(("bits", "used"), [(32, 24), (32, 16), (24, 16), (16, 8)])
async def test_samples_in_more_bytes_than_they_need_are_what_they_are(
    extractor: httpx.AsyncClient, tmp_path: Path, bits: int, used: int
) -> None:
    time = np.arange(10 * 16_000) / 16_000
    tone = np.where((time % 5 >= 1) & (time % 5 < 2), 0.5 * np.sin(2 * np.pi * 440 * time), 0)
    whole = (np.round(tone * 2 ** (used - 1)).astype("<i4") << (32 - used)).view(np.uint8).reshape(-1, 4)
    usual = struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 2_000 * bits, bits // 8, bits)
    pcm = struct.pack("<HHIH", 22, used, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = chunk(b"fmt ", usual + pcm) + chunk(b"data", whole[:, 4 - bits // 8 :].tobytes())
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    answer = await asked(extractor, tmp_path, "a.wav", content)
    assert (answer.state, answer.seconds) == ("complete", pytest.approx(10, abs=0.001)), answer
    assert [beep.start for beep in answer.beeps] == pytest.approx([1, 6], abs=0.01), answer
    assert [beep.frequency for beep in answer.beeps] == pytest.approx([440, 440], abs=2), answer
