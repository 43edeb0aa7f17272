"""``dataset split``, ``diff``, ``verify``, ``report``: they work on folders, and need no database and no settings."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

from orchestrator.cli.console import counted, print_json, visible
from orchestrator.cli.options import usage
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.session import print_error
from reelscribe.errors import ServiceError
from reelscribe.stop_signals import INTERRUPTED_EXIT_CODE

NAMES = {1: ("all",), 2: ("train", "test"), 3: ("train", "validation", "test")}
"""Of parts, by how many there are."""
CLOSE_ENOUGH = 1e-6


def split(
    folder: Path, output: Path, ratios: str | None, folds: int | None, names: str | None, by: str, as_json: bool
) -> None:
    """Divide a dataset into parts."""
    chosen_names, chosen_ratios = _division(ratios, folds, names)

    def work() -> int:
        from orchestrator.exports.dataset.finished.reading import manifest_of
        from orchestrator.exports.dataset.finished.split import Division
        from orchestrator.exports.dataset.finished.split import split as divide

        source = DatasetFolder.of(folder)
        with _bar("split", len(manifest_of(source)["shards"])) as advance:
            manifest = divide(source, DatasetFolder.of(output), Division(chosen_names, chosen_ratios), by, advance)
        if as_json:
            print_json({"folder": str(output), **manifest})
            return 0
        for name in chosen_names:
            part = manifest["splits"].get(name, {"samples": 0, "seconds": 0.0})
            hours = f", {part['seconds'] / 3600:.2f} h" if part["seconds"] else ""
            share = part["samples"] / max(manifest["samples"], 1)
            print(f"{name:<12} {counted(part['samples'], 'sample')}{hours} ({share:.1%})")
        print(f"version {manifest['version']}: {output}")
        return 0

    _exit_after(work)


def _division(ratios: str | None, folds: int | None, names: str | None) -> tuple[list[str], list[float]]:
    """The names and the shares of the parts; else the command ends."""
    from orchestrator.exports.dataset.lists import SPLIT_LETTERS

    if (ratios is None) == (folds is None):
        usage("give --ratios, such as 0.7/0.2/0.1, or --folds K")
    if folds is not None:
        shares = [1 / folds] * folds
    else:
        try:
            shares = [float(part) for part in (ratios or "").split("/")]
        except ValueError:
            usage(f"--ratios {ratios}: write shares with a / between them, such as 0.7/0.2/0.1")
        if not all(share > 0 for share in shares) or abs(sum(shares) - 1) > CLOSE_ENOUGH:
            usage(f"--ratios {ratios}: the shares must be more than 0, and add up to 1")
    given = names.split("/") if names else list(NAMES.get(len(shares), ())) if folds is None else []
    chosen = given or [f"{'fold' if folds else 'part'}{number}" for number in range(len(shares))]
    if len(set(chosen)) != len(shares) or not all(name and set(name) <= SPLIT_LETTERS for name in chosen):
        usage(f"--names {names}: {counted(len(shares), 'name')} of letters, digits and _, with a / between them")
    return chosen, shares


def diff(first: Path, second: Path, as_json: bool) -> None:
    """Compare two datasets."""

    def work() -> int:
        from orchestrator.exports.dataset.finished.compare import difference

        found = difference(DatasetFolder.of(first), DatasetFolder.of(second))
        if as_json:
            groups = {name: vars(group) for name, group in found.groups.items()}
            print_json({"versions": found.versions, "same": found.same, **groups})
        elif found.is_none:
            print(f"{counted(found.same, 'sample')}, all the same")
        else:
            for name, group in found.groups.items():
                if group.count:
                    more = ", …" if group.count > len(group.keys) else ""
                    print(f"{name:<9} {group.count}: {', '.join(group.keys)}{more}")
            print(f"same      {found.same}")
        return 0 if found.is_none else 1

    _exit_after(work)


def verify(folder: Path, as_json: bool) -> None:
    """Verify a dataset."""

    def work() -> int:
        from orchestrator.exports.dataset.finished.reading import manifest_of
        from orchestrator.exports.dataset.finished.verify import findings

        chosen = DatasetFolder.of(folder)
        manifest = manifest_of(chosen)
        found: list[str] = []
        with _bar("verify", len(manifest["shards"])) as advance:
            for finding in findings(chosen, advance):
                found.append(finding)
                if not as_json:
                    print(visible(finding), flush=True)
        if as_json:
            print_json({"version": manifest["version"], "samples": manifest["samples"], "findings": found})
        else:
            shards = counted(len(manifest["shards"]), "shard")
            print(f"{counted(manifest['samples'], 'sample')} in {shards} verified; {len(found)} wrong")
        return 1 if found else 0

    _exit_after(work)


def report(folder: Path, output: Path | None, as_json: bool) -> None:
    """Write a page that shows what is in a dataset."""

    def work() -> int:
        from orchestrator.exports.dataset.finished.report import report as page
        from orchestrator.exports.dataset.layout import replace_file

        chosen = DatasetFolder.of(folder)
        path = output or chosen.report
        content = page(chosen).encode()
        try:
            replace_file(path, content)
        except OSError as refused:
            print_error(f"{path} cannot be written: {refused.strerror or refused}")
            return 1
        if as_json:
            print_json({"report": str(path), "bytes": len(content)})
        else:
            print(path)
        return 0

    _exit_after(work)


def _exit_after(work: Callable[[], int]) -> NoReturn:
    """Do the work of a command and exit with the code it returns, or with 1 and a sentence if it fails."""
    try:
        code = work()
    except ServiceError as failure:
        print_error(failure.message)
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    raise typer.Exit(code)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], Any]]:
    """A progress bar on a terminal; what it yields is called for each of ``total``."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from orchestrator.cli.bars import bars

    with bars(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
