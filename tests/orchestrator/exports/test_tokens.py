"""Audio tokens: tokenisers, how they are found, and the sound of segments while it arrives."""

import tomllib
import tracemalloc
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from bench.recordings import samples as recorded
from orchestrator.errors import NotTokenized, UnknownTokenizer, UnusableTokenizer
from orchestrator.exports.tokens import installed
from orchestrator.exports.tokens.mulaw import MuLaw
from orchestrator.exports.tokens.tokenizer import encode
from orchestrator.exports.tokens.wav import cut, samples, span
from reelscribe.errors import PeerRefused, StreamCut

EXAMPLE = Path(__file__).parent / "example_tokenizer"
SPEECH = Path(__file__).parents[2] / "speech"
ALL_SAMPLES = np.arange(-32768, 32768, dtype=np.float32) / np.float32(32768)


def install(package: Path, site: Path) -> None:
    """What pip writes about a package's entry points, as its pyproject.toml declares them."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example package is installed."""
    install(EXAMPLE, tmp_path / "site")
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path / "site")


def test_mulaw_gives_each_sample_a_token_that_no_host_rounds_otherwise():
    tokens = encode(MuLaw(), ALL_SAMPLES, "all")
    assert (tokens[0], tokens[32768], tokens[-1]) == (0, 128, 255)
    assert np.all(np.diff(tokens) >= 0) and set(tokens.tolist()) == set(range(256))
    assert np.array_equal(MuLaw().encode(MuLaw().decode(tokens)), tokens)
    x = np.delete(ALL_SAMPLES, 32768).astype(np.float64)
    exact = (np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) + 1) / 2 * 255 + 0.5
    inner = exact[1:]  # the lowest sample is the lowest step itself
    assert np.abs(inner - np.round(inner)).min() > 1e-9


def test_mulaw_is_37_db_above_its_noise_on_speech_and_takes_it_in_any_parts():
    sound = recorded(SPEECH / "short.flac")
    tokens = MuLaw().encode(sound)
    noise = MuLaw().decode(tokens).astype(np.float64) - sound
    assert 10 * np.log10(np.square(sound, dtype=np.float64).sum() / np.square(noise).sum()) > 37
    assert np.array_equal(MuLaw().encode(sound[12_345:54_321]), tokens[12_345:54_321])


def test_tokenizers_of_other_packages_are_found_by_their_entry_points(example):
    assert installed.names() == ["loudness", "mulaw", "not_there", "whole"]
    tokens = encode(installed.load("loudness"), np.full(400, 0.1, np.float32), "a.mp4")
    assert tokens.tolist() == [76, 76, 73]


def test_an_unknown_tokenizer_is_answered_with_those_that_there_are(example):
    with pytest.raises(UnknownTokenizer, match="no tokeniser mimi; installed: loudness, mulaw, not_there, whole"):
        installed.load("mimi")


def test_a_tokenizer_that_cannot_be_used_is_named(example, tmp_path, monkeypatch):
    with pytest.raises(UnusableTokenizer, match=r"not_there of example-tokenizer.*No module named"):
        installed.load("not_there")
    monkeypatch.setattr("example_tokenizer.Loudness.vocabulary", 2**15 + 1)
    with pytest.raises(UnusableTokenizer, match="loudness cannot be used: its vocabulary is 32769"):
        installed.load("loudness")
    other = tmp_path / "other"
    other.mkdir()
    (other / "pyproject.toml").write_text(
        '[project]\nname = "other"\nversion = "1"\n[project.entry-points."reelscribe.tokenizers"]\nmulaw = "a:B"\n'
    )
    install(other, tmp_path / "site")
    with pytest.raises(UnusableTokenizer, match="mulaw is in several packages: other, reelscribe"):
        installed.load("mulaw")


class Wrong(MuLaw):
    def __init__(self, answer):
        self.answer = answer

    def encode(self, sound):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (np.zeros(3, np.int32), r"returned int32 of the shape \(3,\) instead of int16 in one dimension"),
        (np.zeros((1, 3), np.int16), r"returned int16 of the shape \(1, 3\)"),
        ([1, 2], "returned list instead"),
        (np.array([0, 256], np.int16), "returned tokens from 0 to 256, outside its vocabulary of 256"),
        (np.array([-1], np.int16), "returned tokens from -1"),
        (RuntimeError("two\nlines"), "failed: RuntimeError: two lines"),
    ],
    ids=str,
)
def test_what_is_no_tokens_is_an_error_that_names_tokenizer_and_recording(answer, what):
    with pytest.raises(NotTokenized, match=f"^talks/a.mp4: the tokeniser mulaw {what}"):
        encode(Wrong(answer), np.zeros(160, np.float32), "talks/a.mp4")


def test_seconds_are_rounded_to_the_nearest_sample_on_the_time_of_the_recording():
    assert span(0.1, 0.3, 16_000) == (1600, 4800)
    assert span(2.5 / 8000, 3.5 / 8000, 8000) == (3, 4)
    assert span(5.0, 4.0, 8000) == (40_000, 40_000)
    assert span(-1.0, 1.0, 8000) == (0, 8000)


def wav(sound: bytes, rate: int = 16_000) -> bytes:
    """As ffmpeg streams it: sizes that are not known, and a chunk before the samples."""
    about = (
        b"fmt \x10\0\0\0" + b"\1\0\1\0" + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + b"\2\0\x10\0"
    )
    return b"RIFF\xff\xff\xff\xffWAVE" + about + b"LIST\x05\0\0\0INFO!\0" + b"data\xff\xff\xff\xff" + sound


async def in_chunks(body: bytes, size: int):
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_parts_are_cut_by_sample_whatever_the_chunks(size):
    sound = np.arange(2000, dtype="<i2")
    spans = [(0, 0), (10, 20), (15, 700), (30, 40), (700, 1500), (1990, 2010), (3000, 4000)]
    found = [part async for part in cut(samples(in_chunks(wav(sound.tobytes()), size), 16_000), spans)]
    assert found == [sound[begin:end].tobytes() for begin, end in spans]


async def test_what_is_no_such_wav_is_refused():
    for body, error in (
        (b"<html>" * 9, PeerRefused),
        (wav(b"", 8000), PeerRefused),
        (wav(b"")[:30], StreamCut),
        (b"", StreamCut),
    ):
        with pytest.raises(error):
            [part async for part in samples(in_chunks(body, 16), 16_000)]


async def test_an_hour_of_sound_is_never_in_memory():
    second = bytes(32_000)

    async def hour():
        yield wav(b"")
        for _ in range(3600):
            yield second

    spans = [span(float(begin), begin + 10.0, 16_000) for begin in range(0, 3600, 12)]
    tracemalloc.start()
    lengths = [len(part) async for part in cut(samples(hour(), 16_000), spans)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [320_000] * ceil(3600 / 12)
    assert peak < 3_000_000
