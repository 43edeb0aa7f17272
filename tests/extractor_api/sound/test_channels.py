"""Channels: which of them are delivered, how they are mixed down, and how loud they are then."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.sound.wav import wav_header
from tests.extractor_api.conftest import Serve

RATE = 48_000
SECONDS = 1
LAYOUTS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "quad": ("FL", "FR", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "5.1(side)": ("FL", "FR", "FC", "LFE", "SL", "SR"),
    "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
CODECS = {"wav": "pcm_s16le", "w64": "pcm_s16le", "caf": "pcm_s16be", "aiff": "pcm_s16be", "mka": "pcm_s16le"}
FORMATS = ("wav", "flac", "mp3")
LEVELS = {
    ("mono", 1): {"FC": 0.0},
    ("mono", 2): {"FC": -3.0},
    ("stereo", 1): {"FL": -6.0, "FR": -6.0},
    ("stereo", 2): {"FL": 0.0, "FR": 0.0},
    ("quad", 1): {"FL": -9.5, "BL": -15.6},
    ("quad", 2): {"FR": -3.5, "BR": -9.5},
    ("5.1", 1): {"FC": -6.3, "FL": -15.3, "BL": -21.3},
    ("5.1", 2): {"FC": -6.3, "FR": -9.3, "BR": -15.3},
    ("5.1(side)", 1): {"FC": -6.3, "FL": -15.3, "SL": -21.3},
    ("5.1(side)", 2): {"FC": -6.3, "FR": -9.3, "SR": -15.3},
    ("7.1", 1): {"FC": -7.7, "FL": -16.7, "SL": -22.7, "BR": -22.7},
    ("7.1", 2): {"FC": -7.7, "FL": -10.7, "SL": -16.7, "BR": -16.7},
}
"""In dB, by layout and number of channels; also in docs/extractor.md."""

Samples = npt.NDArray[np.float32]
Decode = Callable[[bytes], Samples]


def tone(volume: float = 0.5, hertz: float = 440.0) -> Samples:
    return (volume * np.sin(2 * np.pi * hertz * np.arange(RATE * SECONDS) / RATE)).astype(np.float32)


def wav_without_mask(channels: dict[int, Samples], count: int) -> bytes:
    """``channels`` are the ones that are not silent."""
    content = interleaved(channels, count)
    layout = struct.pack("<HHIIHH", 1, count, RATE, RATE * count * 2, count * 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + layout + b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def wav_with_positions(layout: str, channels: dict[str, Samples]) -> bytes:
    names = LAYOUTS[layout]
    content = interleaved({names.index(name): sound for name, sound in channels.items()}, len(names))
    return wav_header(RATE, len(names), layout, len(content), room=False) + content


def interleaved(channels: dict[int, Samples], count: int) -> bytes:
    samples = np.zeros((RATE * SECONDS, count), np.float32)
    for number, sound in channels.items():
        samples[:, number] = sound
    return np.round(samples * 32767).astype("<i2").tobytes()


def decibels(part: float, of: float = 0.5) -> float:
    return float(20 * np.log10(part / of))


def peak(samples: Samples) -> float:
    """Without the ends, where a coder rings."""
    return float(np.abs(samples[RATE // 4 : -RATE // 4]).max())


@pytest.fixture
def decode(each_ffmpeg: FFmpeg) -> Decode:
    """Audio as floats, by channel: mp3 may be above full scale."""

    def decoded(audio: bytes) -> Samples:
        command: list[str | Path] = [
            each_ffmpeg.path,
            "-hide_banner",
            "-i",
            "pipe:0",
            "-af",
            "ashowinfo",
            "-f",
            "f32le",
            "pipe:1",
        ]
        completed = subprocess.run(command, input=audio, capture_output=True, check=True)
        channels = int(completed.stderr.decode().split(" channels:")[1].split()[0])
        return np.frombuffer(completed.stdout, np.float32).reshape(-1, channels)

    return decoded


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return tmp_path / "videos"


async def extract(client: httpx.AsyncClient, savepath: str, **fields: object) -> httpx.Response:
    response = await client.post("/extract-audio", json={"savepath": savepath, "audio_format": "wav", **fields})
    assert response.status_code == 200, response.text
    return response


async def refusal(client: httpx.AsyncClient, savepath: str, **fields: object) -> tuple[int, str, str]:
    response = await client.post("/extract-audio", json={"savepath": savepath, "audio_format": "wav", **fields})
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


class TestChannelsAsStored:
    @pytest.mark.parametrize("audio_format", ["wav", "flac"])
    @pytest.mark.parametrize("fields", [{}, {"channels": "all"}])
    async def test_they_are_the_default_of_wav_and_flac(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode, audio_format: str, fields: dict[str, str]
    ) -> None:
        (videos / "a.wav").write_bytes(wav_without_mask({5: tone()}, 6))
        samples = decode((await extract(extractor, "a.wav", audio_format=audio_format, **fields)).content)
        assert [round(peak(channel), 2) for channel in samples.T] == [0, 0, 0, 0, 0, 0.5]

    async def test_mp3_mixes_down_what_it_cannot_hold(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode
    ) -> None:
        for count in (3, 10):
            (videos / "a.wav").write_bytes(wav_without_mask({count - 1: tone()}, count))
            samples = decode((await extract(extractor, "a.wav", audio_format="mp3")).content)
            assert decibels(peak(samples)) == pytest.approx(decibels(0.5 / count), abs=0.5)

    async def test_all_of_them_in_mp3_are_at_most_two(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode
    ) -> None:
        for count in (1, 2):
            (videos / "a.wav").write_bytes(wav_without_mask({0: tone()}, count))
            samples = decode((await extract(extractor, "a.wav", audio_format="mp3", channels="all")).content)
            assert samples.shape[1] == count
        (videos / "a.wav").write_bytes(wav_without_mask({0: tone()}, 6))
        assert await refusal(extractor, "a.wav", audio_format="mp3", channels="all") == (
            400,
            "unsupported_format",
            "a.wav has 6 channels, and mp3 can hold 2; take wav, or mix them down with channels = 1, or name one with "
            "channel",
        )

    @pytest.mark.parametrize("delivery", ["stream", "file"])
    async def test_flac_holds_eight(self, extractor: httpx.AsyncClient, videos: Path, delivery: str) -> None:
        (videos / "8.wav").write_bytes(wav_without_mask({0: tone()}, 8))
        (videos / "9.wav").write_bytes(wav_without_mask({0: tone()}, 9))
        await extract(extractor, "8.wav", audio_format="flac", delivery=delivery)
        for fields in ({}, {"channels": "all"}):
            status, code, message = await refusal(extractor, "9.wav", audio_format="flac", delivery=delivery, **fields)
            assert (status, code) == (400, "unsupported_format")
            assert message.startswith("9.wav has 9 channels, and flac can hold 8; take wav")
        await extract(extractor, "9.wav", audio_format="flac", delivery=delivery, channels=1)


class TestOneChannel:
    @pytest.mark.parametrize("audio_format", FORMATS)
    async def test_it_is_mono_at_its_own_level(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode, audio_format: str
    ) -> None:
        (videos / "a.wav").write_bytes(wav_without_mask({3: tone(0.5), 4: tone(0.25)}, 6))
        for channel, volume in ((3, 0.5), (4, 0.25), (5, 0.0)):
            samples = decode((await extract(extractor, "a.wav", audio_format=audio_format, channel=channel)).content)
            assert samples.shape[1] == 1
            assert peak(samples) == pytest.approx(volume, rel=0.02, abs=0.001)

    async def test_one_that_does_not_exist_is_refused(
        self, extractor: httpx.AsyncClient, videos: Path, run_ffmpeg: Callable[..., None]
    ) -> None:
        (videos / "a.wav").write_bytes(wav_without_mask({0: tone()}, 6))
        there = "its channels are 0 to 5"
        for fields in ({"channel": 6}, {"channel": 63}, {"channel": 6, "channels": 1}, {"channel": 6, "start": 0.5}):
            assert await refusal(extractor, "a.wav", **fields) == (
                422,
                "no_audio_track",
                f"a.wav has no channel {fields['channel']}; {there}",
            )
        assert (await refusal(extractor, "a.wav", channel=6, audio_format="mp3", delivery="file"))[2].endswith(there)
        run_ffmpeg("-i", videos / "a.wav", "-ac", "1", "-c:a", "aac", videos / "mono.ts")
        assert (await refusal(extractor, "mono.ts", channel=1))[2] == "mono.ts has no channel 1; its only channel is 0"

    @pytest.mark.parametrize("channels", [2, "all"])
    async def test_it_is_not_more_than_one(self, extractor: httpx.AsyncClient, channels: object) -> None:
        status, code, message = await refusal(extractor, "a.wav", channel=0, channels=channels)
        assert (status, code) == (400, "bad_request")
        assert f"channel is one channel, and channels = {channels} asks for more; leave out one" in message

    async def test_it_cannot_be_cut_out_of_a_track_as_stored(
        self, extractor: httpx.AsyncClient, serve: Serve, videos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (videos / "a.wav").write_bytes(wav_without_mask({0: tone()}, 2))
        assert "take wav, flac or mp3" in (await refusal(extractor, "a.wav", channel=0, audio_format="source"))[2]
        monkeypatch.setattr(extractor.service, "default_format", "source")  # type: ignore[attr-defined]
        answer = await extractor.post("/extract-audio", json={"savepath": "a.wav", "channel": 0})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


class TestMicrophones:
    """Channels without positions: any of them may have the voice."""

    @pytest.mark.parametrize("count", [3, 10, 24])
    async def test_a_voice_on_any_of_them_is_in_the_mix(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode, count: int
    ) -> None:
        for voice in {0, count // 2, count - 1}:
            (videos / "a.wav").write_bytes(wav_without_mask({voice: tone(0.9)}, count))
            for fields, level in (({"channels": 1}, 0), ({"channels": 2}, -3)):
                samples = decode((await extract(extractor, "a.wav", **fields)).content)
                assert decibels(peak(samples), 0.9 / count) == pytest.approx(level, abs=0.1), voice

    @pytest.mark.parametrize("count", [3, 10, 24])
    async def test_the_mix_of_all_at_full_scale_is_at_full_scale(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode, count: int
    ) -> None:
        (videos / "a.wav").write_bytes(wav_without_mask(dict.fromkeys(range(count), tone(1.0)), count))
        assert peak(decode((await extract(extractor, "a.wav", channels=1)).content)) == pytest.approx(1, abs=0.001)

    @pytest.mark.parametrize("suffix", ["w64", "caf", "aiff", "mka"])
    @pytest.mark.parametrize("count", [3, 10])
    async def test_in_every_container_of_plain_samples(
        self,
        extractor: httpx.AsyncClient,
        videos: Path,
        decode: Decode,
        run_ffmpeg: Callable[..., None],
        suffix: str,
        count: int,
    ) -> None:
        for voice in (2, count - 1):
            (videos / "a.wav").write_bytes(wav_without_mask({voice: tone(0.9)}, count))
            unnamed = ("-guess_layout_max", "0", "-i", videos / "a.wav", "-c:a", CODECS[suffix])
            run_ffmpeg(*unnamed, videos / f"a.{suffix}")
            samples = decode((await extract(extractor, f"a.{suffix}", channels=1)).content)
            assert peak(samples) == pytest.approx(0.9 / count, rel=0.02), voice
            alone = decode((await extract(extractor, f"a.{suffix}", channel=voice)).content)
            assert peak(alone) == pytest.approx(0.9, rel=0.01)


class TestMixingDown:
    @pytest.mark.parametrize(("layout", "channels"), LEVELS)
    async def test_every_channel_has_its_level(
        self,
        extractor: httpx.AsyncClient,
        videos: Path,
        decode: Decode,
        layout: str,
        channels: int,
    ) -> None:
        for name, level in LEVELS[layout, channels].items():
            (videos / "a.wav").write_bytes(wav_with_positions(layout, {name: tone()}))
            answer = await extract(extractor, "a.wav", channels=channels)
            samples = decode(answer.content)
            assert samples.shape[1] == channels
            assert decibels(peak(samples)) == pytest.approx(level, abs=0.3), name

    @pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "7.1"])
    async def test_the_low_frequency_channel_is_left_out(
        self, extractor: httpx.AsyncClient, videos: Path, decode: Decode, layout: str
    ) -> None:
        (videos / "a.wav").write_bytes(wav_with_positions(layout, {"LFE": tone(1.0)}))
        assert peak(decode((await extract(extractor, "a.wav", channels=1)).content)) == 0

    @pytest.mark.parametrize(
        ("layout", "channels", "audio_format"), [(*mix, FORMATS[n // 2 % 3]) for n, mix in enumerate(LEVELS)]
    )
    async def test_all_channels_at_full_scale_are_at_full_scale(
        self,
        extractor: httpx.AsyncClient,
        videos: Path,
        decode: Decode,
        layout: str,
        channels: int,
        audio_format: str,
    ) -> None:
        loud = dict.fromkeys(LAYOUTS[layout], tone(1.0))
        (videos / "a.wav").write_bytes(wav_with_positions(layout, loud))
        answer = await extract(extractor, "a.wav", audio_format=audio_format, channels=channels)
        full = 10 ** (-3 / 20) if layout == "mono" and channels == 2 else 1.0
        assert peak(decode(answer.content)) == pytest.approx(full, rel=0.003)
