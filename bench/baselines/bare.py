"""faster-whisper called directly, in a process that keeps its model loaded.

The process reads one line of JSON per task, and answers with one line.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import httpx
import numpy as np
from ctranslate2 import StorageView
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import pad_or_trim

from bench.recordings import samples
from transcriber.model.finding import find_model

Way = Literal["WhisperModel", "BatchedInferencePipeline", "encoder"]
"""``encoder``: only the model's encoder, on all recordings in one batch, each padded to 30 s."""


class Took(NamedTuple):
    """The time for one recording, from its path to its last segment, and the tokens of its segments."""

    seconds: float
    tokens: int


class FasterWhisper(Protocol):
    """Process recordings, one after the other."""

    def __call__(self, way: Way, recordings: Sequence[Path], **options: Any) -> list[Took]: ...


@contextmanager
def process(model: str, url: str, threads: int) -> Iterator[FasterWhisper]:
    """Start a process with ``model`` loaded as the transcriber at ``url`` has it, with that many CPU threads."""
    command = [sys.executable, "-m", "bench.baselines.bare", model, url, str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        asked, answered = running.stdin, running.stdout
        assert asked and answered

        def ask(way: Way, recordings: Sequence[Path], **options: Any) -> list[Took]:
            print(json.dumps([way, [str(path) for path in recordings], options]), file=asked, flush=True)
            answer = answered.readline()
            if not answer:
                raise SystemExit("faster-whisper has ended; its error is above")
            return [Took(*one) for one in json.loads(answer)]

        yield ask
        asked.close()


def load(model: str, url: str, threads: int = 0) -> WhisperModel:
    """Load ``model`` on the device and with the compute type that the transcriber at ``url`` has chosen.

    Args:
        threads: CPU threads; 0: faster-whisper's choice.
    """
    health = httpx.get(f"{url}/healthz").json()
    folder = str(find_model(model).folder)
    return WhisperModel(folder, health["device"], compute_type=health["compute_type"], cpu_threads=threads)


def main(model: str, url: str, threads: int) -> None:
    """Run the task of each line of standard input."""
    whisper = load(model, url, threads)
    pipeline = BatchedInferencePipeline(whisper)
    for line in sys.stdin:
        way, recordings, options = json.loads(line)
        if way == "encoder":
            done = [encode(whisper, recordings)]
        else:
            transcribe = (whisper if way == "WhisperModel" else pipeline).transcribe
            done = [transcribed(transcribe, recording, options) for recording in recordings]
        print(json.dumps(done), flush=True)


def transcribed(transcribe: Any, recording: str, options: dict[str, Any]) -> Took:
    started = time.perf_counter()
    segments, _ = transcribe(samples(Path(recording)), **options)
    tokens = sum(len(segment.tokens) for segment in segments)  # the generator does the work
    return Took(time.perf_counter() - started, tokens)


def encode(whisper: WhisperModel, recordings: list[str]) -> Took:
    spectrograms = [whisper.feature_extractor(samples(Path(recording)))[..., :-1] for recording in recordings]
    features = np.ascontiguousarray([pad_or_trim(one) for one in spectrograms], np.float32)
    started = time.perf_counter()
    whisper.model.encode(StorageView.from_array(features), to_cpu=True)
    return Took(time.perf_counter() - started, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
