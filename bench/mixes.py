"""Recordings for the accuracy bench: those of tests/speech, and mixes of their sentences, the same in every run."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copy
from typing import NamedTuple

import numpy as np

from bench.recordings import FOLDER, SAMPLE_RATE, Samples, Sentence, samples, sentences, write_wav

SPOKEN = ("short.flac", "minute.flac", "ten_minutes.ogg")
MARGIN_SECONDS = 0.1
"""Audio kept around a sentence; the pauses in tests/speech are at least 0.5 s."""

Random = np.random.Generator
Overlay = Callable[[Samples, Random], Samples]


class Recording(NamedTuple):
    """A recording and the sentences in it; ``said`` is empty if it has no speech."""

    name: str
    path: Path
    said: list[Sentence]


class Mix(NamedTuple):
    """How to make a recording.

    Attributes:
        sentences: their number; each is used once before any is used again.
        pauses: shortest and longest, in seconds.
        lead: seconds before the first sentence.
        margin: seconds of audio kept around each sentence.
        gain: level of the softest voice, in dB.
        over: noise or music added to the complete recording.
    """

    name: str
    sentences: int
    pauses: tuple[float, float]
    lead: float = 0.5
    margin: float = MARGIN_SECONDS
    gain: float = 0.0
    over: Overlay | None = None


class _Said(NamedTuple):
    sound: Samples
    sentence: Sentence


def noise(sound: Samples, random: Random, below: float) -> Samples:
    """Add pink noise, ``below`` dB below the speech."""
    spectrum = np.fft.rfft(random.standard_normal(len(sound)))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 40)), len(sound))
    loud = np.abs(sound) > 0.01
    level = np.sqrt(np.mean(np.square(sound[loud]))) if loud.any() else 0.1
    mixed: Samples = sound + pink * level / np.sqrt(np.mean(np.square(pink))) * 10 ** (-below / 20)
    return mixed.astype(np.float32)


def clicks(sound: Samples, random: Random) -> Samples:
    """Add a click of 2 ms about every second, as loud as the speech."""
    clicked: Samples = sound.copy()
    for start in random.integers(0, len(sound) - 32, len(sound) // SAMPLE_RATE):
        clicked[start : start + 32] += random.choice((-0.6, 0.6)) * np.hanning(32).astype(np.float32)
    return clicked


def chords(sound: Samples, random: Random, seconds: float | None = None) -> Samples:
    """Add one chord per second for the first ``seconds`` (or all): three notes with overtones, fading."""
    played: Samples = sound.copy()
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for second in range(int(seconds or len(sound) / SAMPLE_RATE)):
        root = 110 * 2 ** (random.integers(0, 24) / 12)
        notes = [root * 2 ** (step / 12) * overtone for step in (0, 4, 7) for overtone in (1, 2, 3)]
        chord = sum(np.sin(2 * np.pi * note * time) / note for note in notes) * root * np.exp(-2 * time) * 0.1
        played[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE] += chord.astype(np.float32)
    return played


MIXES = [
    Mix("noise 30 dB below", 60, (0.5, 2), over=partial(noise, below=30)),
    Mix("noise 20 dB below", 60, (0.5, 2), over=partial(noise, below=20)),
    Mix("pauses of 4 to 30 s", 30, (4, 30)),
    Mix("voices in quick turns", 60, (0.15, 0.5)),
    Mix("no pause at all", 60, (0, 0), margin=0),
    Mix("90 s of silence first", 45, (0.5, 2), lead=90),
    Mix("40 s of music first", 45, (0.5, 2), lead=41, over=partial(chords, seconds=40)),
    Mix("clicks", 60, (0.5, 2), over=clicks),
    Mix("soft and loud voices", 60, (0.5, 2), gain=-24),
    Mix("20 minutes of all voices", 360, (0.3, 1.5)),
]
WITHOUT_SPEECH: dict[str, Overlay] = {
    "noise alone": partial(noise, below=20),
    "music alone": chords,
    "clicks alone": clicks,
}


def recordings(folder: Path, only: str = "") -> Iterator[Recording]:
    """The recordings whose names contain ``only``, made in ``folder``."""
    for file in (*SPOKEN, "silence.flac"):
        if only in file:
            yield Recording(file, Path(copy(FOLDER / file, folder)), sentences(FOLDER / file))
    for seed, mix in enumerate(MIXES):
        if only in mix.name:
            sound, said = _mixed(mix, np.random.default_rng(seed))
            yield Recording(mix.name, write_wav(folder / f"mix{seed}.wav", sound), said)
    for seed, (name, over) in enumerate(WITHOUT_SPEECH.items()):
        if only in name:
            sound = over(np.zeros(60 * SAMPLE_RATE, np.float32), np.random.default_rng(seed))
            yield Recording(name, write_wav(folder / f"without_speech{seed}.wav", sound), [])


def _mixed(mix: Mix, random: Random) -> tuple[Samples, list[Sentence]]:
    pool = [said for file in SPOKEN for said in _cut(file, mix.margin)]
    drawn: list[_Said] = []
    while len(drawn) < mix.sentences:
        drawn += [pool[number] for number in random.permutation(len(pool))]
    parts, said, at = [_hiss(mix.lead, random)], [], mix.lead
    for sound, sentence in drawn[: mix.sentences]:
        said.append(sentence._replace(start=at + sentence.start, end=at + sentence.end))
        pause = _hiss(random.uniform(*mix.pauses), random)
        parts += [sound * np.float32(10 ** (random.uniform(mix.gain, 0) / 20)), pause]
        at += (len(sound) + len(pause)) / SAMPLE_RATE
    mixed = np.concatenate(parts)
    return (mix.over(mixed, random) if mix.over else mixed), said


def _cut(file: str, margin: float) -> Iterator[_Said]:
    """Each sentence of a file, with its times in its own audio."""
    recording = samples(FOLDER / file)
    for sentence in sentences(FOLDER / file):
        start = max(0.0, sentence.start - margin)
        sound = recording[int(start * SAMPLE_RATE) : int((sentence.end + margin) * SAMPLE_RATE)]
        yield _Said(sound, Sentence(sentence.start - start, sentence.end - start, sentence.text))


def _hiss(seconds: float, random: Random) -> Samples:
    """Silence with the faint noise of a microphone."""
    return (random.standard_normal(int(seconds * SAMPLE_RATE)) * 3e-4).astype(np.float32)
