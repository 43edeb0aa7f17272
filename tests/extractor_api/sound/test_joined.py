"""Recordings that were appended to each other by ``cat``: all are delivered, or the answer says that they are not.

Each has a beep at 1 and at 6 s, and lasts 10 s.
"""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.media_matrix.answers import Answer, ask

BEGIN_AGAIN = "timestamps begin again; the parts follow each other without a pause"

Make = Callable[..., bytes]


@pytest.fixture
async def extractor(serve: Serve, each_ffmpeg: FFmpeg, tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "videos").mkdir()
    return await serve(ffmpeg=each_ffmpeg, data_path=tmp_path)


@pytest.fixture
def make(run_ffmpeg: Callable[..., None], tmp_path: Path) -> Make:
    def make(name: str, *options: str, rate: int = 44_100) -> bytes:
        beeps = f"aevalsrc=0.5*between(mod(t\\,5)\\,1\\,2)*sin(2*PI*440*t):duration=10:sample_rate={rate}"
        run_ffmpeg("-f", "lavfi", "-i", beeps, *options, tmp_path / name)
        return (tmp_path / name).read_bytes()

    return make


async def asked(extractor: httpx.AsyncClient, tmp_path: Path, name: str, content: bytes) -> Answer:
    (tmp_path / "videos" / name).write_bytes(content)
    return await ask(extractor, name)


def check_both(answer: Answer) -> None:
    assert answer.state == "complete", answer
    assert (answer.seconds, answer.delivered) == pytest.approx((20, 20), abs=0.12), answer
    assert [beep.start for beep in answer.beeps] == pytest.approx([1, 6, 11, 16], abs=0.06), answer


@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 32_000), (44_100, 44_100)])
async def test_adts_of_two_sample_rates_is_complete_without_a_remark(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path, rates: tuple[int, int]
) -> None:
    content = b"".join(make(f"{rate}.aac", rate=rate) for rate in rates)
    answer = await asked(extractor, tmp_path, "a.aac", content)
    check_both(answer)
    assert answer.remarks == ()


@pytest.mark.parametrize("name", ["a.flv", "a.tta", "a.wv"])
async def test_what_ffmpeg_does_not_read_is_said_to_be_missing(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path, name: str
) -> None:
    content = make(name)
    answer = await asked(extractor, tmp_path, name, 2 * content)
    said = f"another recording is appended at byte {len(content):,}; only the first was delivered, 10.0 s"
    assert (answer.state, answer.reason) == ("incomplete", said), answer
    assert (await asked(extractor, tmp_path, name, content)).state == "complete"


async def test_flv_without_its_size_is_searched(extractor: httpx.AsyncClient, make: Make, tmp_path: Path) -> None:
    content = make("a.flv", "-flvflags", "no_duration_filesize")
    answer = await asked(extractor, tmp_path, "a.flv", 2 * content)
    assert answer.reason and f"byte {len(content):,}" in answer.reason, answer
    assert (await asked(extractor, tmp_path, "a.flv", content)).state == "complete"


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.caf", "a.w64", "a.voc", "a.m4a", "a.mp4", "a.wma"])
async def test_what_belongs_to_no_header_is_remarked_on(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path, name: str
) -> None:
    content = make(name)
    answer = await asked(extractor, tmp_path, name, 2 * content)
    assert answer.state == "complete" and answer.seconds == pytest.approx(10, abs=0.2), answer
    assert answer.remarks == (f"another recording is appended at byte {len(content):,}; only the first is read",)
    assert (await asked(extractor, tmp_path, name, content)).remarks == ()


@pytest.mark.parametrize("options", [("-ar", "22050"), ("-ac", "2")])
async def test_a_chain_of_other_formats_is_complete_or_it_is_said_why_not(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path, options: tuple[str, ...]
) -> None:
    content = b"".join(
        make(f"{number}.ogg", "-c:a", "libvorbis", *choice) for number, choice in enumerate(((), options))
    )
    answer = await asked(extractor, tmp_path, "a.ogg", content)
    if answer.state == "complete":
        check_both(answer)
    else:
        assert answer.reason and "this ffmpeg does not decode those with another" in answer.reason, answer


@pytest.mark.parametrize("name", ["a.m4a", "a.mov"])
async def test_without_an_index_it_is_said_that_there_is_none(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path, name: str
) -> None:
    content = make(name)
    (tmp_path / "videos" / name).write_bytes(content[: len(content) // 2])
    for response in (
        await extractor.get("/probe", params={"savepath": name}),
        await extractor.post("/extract-audio", json={"savepath": name}),
    ):
        assert response.json()["error"]["code"] == "not_decodable"
        assert "it has no index (no moov box)" in response.json()["error"]["message"]


async def test_flac_begins_again(extractor: httpx.AsyncClient, make: Make, tmp_path: Path) -> None:
    answer = await asked(extractor, tmp_path, "a.flac", 2 * make("a.flac"))
    check_both(answer)
    assert answer.remarks == (BEGIN_AGAIN,)


VOB = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=10", "-c:v", "mpeg2video", "-f", "vob")
FRAGMENTS = ("-c:a", "aac", "-movflags", "empty_moov+default_base_moof", "-frag_duration", "1000000")


@pytest.mark.parametrize(
    ("name", "first", "second", "said"),
    [
        ("a.flac", (), ("-ar", "48000"), "another recording, of 48000 Hz, is appended, and ffmpeg plays it as if"),
        ("a.au", (), ("-ar", "48000"), "and ffmpeg plays it as if it were like the first"),
        ("a.mka", ("-c:a", "libopus"), ("-c:a", "libvorbis"), "and ffmpeg plays it as if it were like the first"),
        ("a.mka", ("-c:a", "aac"), ("-c:a", "aac", "-ar", "32000"), "and ffmpeg plays it as if it were like the first"),
        ("a.vob", (*VOB, "-c:a", "mp2"), (*VOB, "-c:a", "ac3"), "its sound continues in another stream"),
        ("a.mp4", FRAGMENTS, FRAGMENTS, "at byte {size:,} another recording begins, or fragments in another order"),
    ],
    ids=["flac", "au", "codec", "rate", "vob", "fragments"],
)
async def test_what_ffmpeg_does_not_play_as_it_is_stored_is_not_complete(
    extractor: httpx.AsyncClient,
    make: Make,
    tmp_path: Path,
    name: str,
    first: tuple[str, ...],
    second: tuple[str, ...],
    said: str,
) -> None:
    content = make(f"1{name}", *first)
    answer = await asked(extractor, tmp_path, name, content + make(f"2{name}", *second))
    assert answer.state == "incomplete", answer
    assert answer.reason and said.format(size=len(content)) in answer.reason, answer
    assert (await asked(extractor, tmp_path, name, content)).reason is None


async def test_flv_whose_codec_changes_is_not_complete(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path
) -> None:
    content = make("1.flv", "-c:a", "aac")
    later = make("2.flv", "-c:a", "libmp3lame", "-output_ts_offset", "10")
    answer = await asked(extractor, tmp_path, "a.flv", content + later[13:])
    assert answer.state == "incomplete", answer
    assert answer.reason and "its sound continues in another codec (sound format 2 instead of 10)" in answer.reason


async def test_opus_of_other_channels_follows_in_matroska(
    extractor: httpx.AsyncClient, make: Make, tmp_path: Path
) -> None:
    content = b"".join(make(f"{number}.mka", "-c:a", "libopus", "-ac", number) for number in "12")
    check_both(await asked(extractor, tmp_path, "a.mka", content))
