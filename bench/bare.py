"""faster-whisper called directly, in a process that has its model loaded.

The process reads one line of JSON for each thing to do, and answers with one.
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
from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio
from faster_whisper.audio import pad_or_trim

from transcriber.model.loading import BUNDLED

Way = Literal["WhisperModel", "BatchedInferencePipeline", "encoder"]
"""``encoder``: only the model's first half, on all recordings in one batch, each filled up to 30 s."""


class Took(NamedTuple):
    """What one recording took from its path to its last segment, and how many tokens were in those."""

    seconds: float
    tokens: int


class FasterWhisper(Protocol):
    """Do it with each recording, one after the other."""

    def __call__(self, way: Way, recordings: Sequence[Path], **options: Any) -> list[Took]: ...


@contextmanager
def process(model: str, url: str, threads: int) -> Iterator[FasterWhisper]:
    """A process that has ``model`` loaded as the transcriber at ``url`` has, with that many threads on a CPU."""
    command = [sys.executable, "-m", "bench.bare", model, url, str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        asked, answered = running.stdin, running.stdout
        assert asked and answered

        def ask(way: Way, recordings: Sequence[Path], **options: Any) -> list[Took]:
            print(json.dumps([way, [str(path) for path in recordings], options]), file=asked, flush=True)
            answer = answered.readline()
            if not answer:
                raise SystemExit("faster-whisper has ended; its complaint is above")
            return [Took(*one) for one in json.loads(answer)]

        yield ask
        asked.close()


def load(model: str, url: str, threads: int = 0) -> WhisperModel:
    """``model`` on the device and in the type that the transcriber at ``url`` has chosen.

    Args:
        threads: to compute with on a CPU; 0: faster-whisper's choice.
    """
    health = httpx.get(f"{url}/healthz").json()
    folder = str(BUNDLED.get(model, model))
    return WhisperModel(folder, health["device"], compute_type=health["compute_type"], cpu_threads=threads)


def main(model: str, url: str, threads: int) -> None:
    """Do what each line of the standard input asks for."""
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
    segments, _ = transcribe(recording, **options)
    tokens = sum(len(segment.tokens) for segment in segments)  # they are made as they are asked for
    return Took(time.perf_counter() - started, tokens)


def encode(whisper: WhisperModel, recordings: list[str]) -> Took:
    heard = [whisper.feature_extractor(decode_audio(recording))[..., :-1] for recording in recordings]
    features = np.ascontiguousarray([pad_or_trim(one) for one in heard], np.float32)
    started = time.perf_counter()
    whisper.model.encode(StorageView.from_array(features), to_cpu=True)
    return Took(time.perf_counter() - started, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
