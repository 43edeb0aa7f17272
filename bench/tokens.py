"""The round trip of audio tokenisers: what is left of speech, and what Whisper makes of it: python -m bench.tokens

The recordings and the weights are those of bench.real. Prints a table.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
from faster_whisper import WhisperModel
from rich.console import Console
from rich.table import Table

from bench.real import SPEECH, added, errors, installed_weights, joined, recordings
from bench.recordings import SAMPLE_RATE, Samples, samples
from orchestrator.exports.tokens import installed
from orchestrator.exports.tokens.tokenizer import AudioTokenizer, encode


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Tokenisers; default: all that are installed.")] = None,
    speech: Annotated[Path, typer.Option(help="Folder of the recordings and their manifest.json.")] = SPEECH,
    weights: Annotated[Path | None, typer.Option(help="Folder of a CTranslate2 Whisper model.")] = None,
    most: Annotated[float, typer.Option(help="Seconds of the longest recording.")] = 60.0,
) -> None:
    """Measure tokens per second, speed, SNR and word errors of each tokeniser that decodes."""
    whisper = WhisperModel(str(weights or installed_weights()), device="cpu", compute_type="int8", cpu_threads=1)
    chosen = [one for one in recordings(speech) if one.in_english and one.seconds <= most]
    sounds = [samples(speech / one.file) for one in chosen]
    said = [one.reference for one in chosen]
    table = Table("tokeniser", "tokens/s", "vocabulary", "SNR", "times real time", "word errors", "left out", "words")

    def add(sounds: list[Samples], *row: str) -> None:
        found = [
            errors(text, joined(segment.text for segment in whisper.transcribe(sound, language="en", temperature=0)[0]))
            for text, sound in zip(said, sounds, strict=True)
        ]
        total = added(found)
        words = sum(len(text.split()) for text in said)
        table.add_row(*row, f"{sum(total) / words:.2%}", str(total.left_out), str(words))

    add(sounds, "none", "", "", "", "")
    for name in names or installed.names():
        tokenizer: Any = installed.load(name)
        if not hasattr(tokenizer, "decode"):
            continue
        back, row = round_trip(tokenizer, sounds)
        add(back, *row)
    Console(width=120).print(table)


def round_trip(tokenizer: Any, sounds: list[Samples]) -> tuple[list[Samples], list[str]]:
    """Sounds as they are after encoding and decoding, and the row of their figures."""
    described: AudioTokenizer = tokenizer
    back, seconds, count, signal, noise = [], 0.0, 0, 0.0, 0.0
    for sound in sounds:
        given = resampled(sound, SAMPLE_RATE, described.sample_rate)
        began = time.process_time()
        tokens = encode(described, given, "a recording")
        seconds += time.process_time() - began
        decoded = np.resize(tokenizer.decode(tokens), given.shape)
        count += tokens.size
        signal += float(np.square(given, dtype=np.float64).sum())
        noise += float(np.square(decoded - given, dtype=np.float64).sum())
        back.append(resampled(decoded, described.sample_rate, SAMPLE_RATE))
    length = sum(sound.size for sound in sounds) / SAMPLE_RATE
    decibels = 10 * np.log10(signal / noise)
    return back, [
        *(described.name, f"{count / length:.0f}", str(described.vocabulary)),
        *(f"{decibels:.1f} dB", f"{length / max(seconds, 1e-9):.0f}"),
    ]


def resampled(sound: Samples, rate: int, wanted: int) -> Samples:
    """The sound at another sample rate."""
    if rate == wanted:
        return sound
    frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted)
    return np.concatenate([part.to_ndarray()[0] for given in (frame, None) for part in resampler.resample(given)])


if __name__ == "__main__":
    typer.run(main)
