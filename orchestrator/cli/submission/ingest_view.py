"""How ``ingest`` progresses: a bar on a terminal, lines elsewhere, nothing for scripts; all on standard error."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, Self

from orchestrator.cli.console import visible
from orchestrator.ingest.downloader import Progress
from orchestrator.ingest.ingestion import Outcome, Result, View

COLOURS: dict[Outcome, str] = {"stored": "green", "there": "dim", "gone": "magenta", "failed": "red", "later": "yellow"}


class IngestView(View, Protocol):
    """A view that begins and ends."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def begin(self, title: str) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self, result: Result) -> None:
        pass


class IngestLines(Silence):
    """A line for each step, for logs and pipes."""

    def begin(self, title: str) -> None:
        print(visible(f"download  {title}"), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(visible(f"          {text}"), file=sys.stderr, flush=True)

    def end(self, result: Result) -> None:
        print(line(result), file=sys.stderr, flush=True)


class IngestBar(Silence):
    """A bar for the download that runs, and a line for each that is over."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        from orchestrator.cli.bars import bars

        self._progress = bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self._task = self._progress.add_task("", total=None, note="", visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def begin(self, title: str) -> None:
        self._progress.reset(self._task, total=None, visible=True, description=visible(title)[:60], note="")

    def progress(self, progress: Progress) -> None:
        self._progress.update(self._task, completed=progress.bytes, total=progress.total, note="")

    def note(self, text: str) -> None:
        self._progress.update(self._task, visible=True, note=visible(text))

    def end(self, result: Result) -> None:
        from rich.text import Text

        self._progress.update(self._task, visible=False, note="")
        self._progress.console.print(Text(line(result), style=COLOURS[result.outcome]))


def line(result: Result) -> str:
    """What became of one."""
    what = result.savepath or result.title or result.url
    known = " (known)" if result.outcome == "gone" and result.known else ""
    message = f": {result.message}" if result.message else ""
    return visible(f"{result.outcome:<9} {what}{known}{message}")


def summary(results: Sequence[Result]) -> str:
    """All outcomes, counted."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in COLOURS if counts[outcome]) or "nothing"
