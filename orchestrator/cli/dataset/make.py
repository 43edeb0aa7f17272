"""``dataset make``: a plan is made and stored, workers build its shards, and this command waits and finishes it."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.errors import UniqueViolation

from orchestrator.cli.console import NO_WORKER, counted, visible
from orchestrator.cli.dataset.planning import Totals, listed, only_plan, planned
from orchestrator.cli.dataset.selection import Selection
from orchestrator.cli.dataset.uploads import Target, figures, send, sentence, target_of
from orchestrator.cli.options import checked_all, usage, validated
from orchestrator.exports.dataset.layout import DatasetFolder, read_json
from orchestrator.exports.dataset.lists import NAMES, BadList, read_list
from orchestrator.exports.dataset.plan import SETTINGS, DatasetKind, PlanSettings
from orchestrator.jobs import datasets, transitions
from orchestrator.jobs.datasets import Dataset, PlannedShard
from orchestrator.session import Session, print_error, run
from orchestrator.transcripts.where import EVERY, compiled
from reelscribe.blocking_calls import call_blocking
from reelscribe.errors import ServiceError

if TYPE_CHECKING:
    from orchestrator.exports.dataset.finished.upload import DatasetUpload, Uploaded

FOLLOW_SECONDS = 0.3
"""How often the command looks at the shards."""
FEW = 5


class MakeOptions(NamedTuple):
    """What every ``dataset make`` takes."""

    savepaths: list[str] | None
    prefix: str | None
    everything: bool
    where: str | None
    manifest: Path | None
    column: list[str] | None
    template: str
    output: Path
    to: str | None
    limit: int | None
    shard_mb: float
    bucket: str | None
    dry_run: bool
    plan: Path | None
    as_json: bool
    config: Path | None


def make(kind: DatasetKind, options: MakeOptions, of_kind: Mapping[str, Any]) -> None:
    """Make a dataset, or continue one."""
    target = _target(options)
    given = validated(SETTINGS[kind], **{name: value for name, value in of_kind.items() if value is not None})
    settings = given.model_dump(mode="json")
    folder = DatasetFolder.of(options.output)
    selection = _selection(kind, options)
    known = _known(selection)

    async def work(session: Session) -> int:
        chosen = replace(selection, bucket=session.bucket(options.bucket))
        plan = PlanSettings(
            kind=kind,
            selection=chosen.described(),
            settings=settings,
            default_bucket=session.bucket(None),
            shard_mb=options.shard_mb,
            **known,
        )
        store = await _opened(session, target, plan) if target else None
        if options.dry_run or options.plan:
            return await only_plan(session, chosen, plan, options.plan, options.dry_run, options.as_json, target)
        manifest = await _finished_before(session, folder, plan)
        if manifest is None:
            dataset = await _open(session, folder, plan, chosen)
            if dataset is None:
                return 1
            if read_json(folder.manifest) is None and not await _build(session, folder, dataset):
                return 1
            manifest = await _finish(session, folder, dataset)
        copied = await _copied(store, folder, target) if store and target and manifest["samples"] else None
        return _report(folder, manifest, options.as_json, target, copied)

    run(options.config, work)


def _target(options: MakeOptions) -> Target | None:
    if options.to is None:
        return None
    if options.plan:
        usage("--to copies what is made here; with --plan FILE, nothing is: see orchestrator dataset upload")
    return target_of(options.to)


async def _opened(session: Session, target: Target, plan: PlanSettings) -> "DatasetUpload":
    """The bucket, if it takes such a dataset: better known before it is made.

    Raises:
        SettingsError, ServiceError: see :class:`DatasetUpload`, and its ``check``.
    """
    from orchestrator.exports.dataset.finished.upload import DatasetUpload

    store = DatasetUpload(session.settings.minio, target.bucket)
    await call_blocking(partial(store.check, target.prefix, plan.hash()))
    return store


async def _copied(store: "DatasetUpload", folder: DatasetFolder, target: Target) -> "Uploaded":
    try:
        return await send(store, folder, target)
    except (ServiceError, asyncio.CancelledError):
        print_error(f"{folder.root} is complete, {target} is not; run the command again to continue")
        raise


def _selection(kind: DatasetKind, options: MakeOptions) -> Selection:
    named = bool(options.savepaths) + (options.prefix is not None) + options.everything + (options.manifest is not None)
    if named > 1 or (not named and options.where is None):
        usage("name savepaths, or give --prefix, --all, --where or --manifest")
    if options.where is not None and kind != "speech" and (options.savepaths or options.manifest):
        usage("--where chooses among all recordings with a transcript, or those of --prefix")
    if options.manifest is None and options.column:
        usage("--column goes with --manifest")
    columns = {}
    for pair in options.column or ():
        name, equals, column = pair.partition("=")
        if not equals or name not in NAMES:
            usage(f"--column {pair}: write NAME=COLUMN; NAME is one of {', '.join(NAMES)}")
        columns[name] = column
    if "{id}" not in options.template:
        usage("--template must hold {id}, in place of which the id of a row comes")
    try:
        where = EVERY if options.where is None else compiled(options.where)
    except ValueError as mistake:
        usage(f"--where: {mistake}")
    savepaths = list(dict.fromkeys(checked_all(options.savepaths))) or None
    return Selection(
        options.bucket or "", savepaths, options.prefix or "", where,
        options.where, options.manifest, columns,
        options.template, options.limit,
    )  # fmt: skip


def _known(selection: Selection) -> dict[str, bool]:
    """Whether the rows of a list name labels and speakers."""
    if selection.list is None:
        return {}
    labels = speakers = False
    try:
        for row in read_list(selection.list, selection.columns, selection.template):
            labels, speakers = labels or row.label is not None, speakers or row.speaker is not None
    except BadList as mistake:
        usage(f"--manifest: {mistake}")
    return {"with_labels": labels, "with_speakers": speakers}


async def _finished_before(session: Session, folder: DatasetFolder, plan: PlanSettings) -> dict[str, Any] | None:
    """The manifest of a dataset that an earlier command has finished with the same settings, here or before the folder
    was brought here; None if there is none.
    """
    manifest = read_json(folder.manifest)
    if manifest is None or manifest.get("settings_hash") != plan.hash():
        return None
    async with session.pool.connection() as connection:
        known = await datasets.dataset_in(connection, str(folder.root))
    if known and known.version is None:
        return None  # the command was killed after the last file was written
    finished = datetime.fromtimestamp(folder.manifest.stat().st_mtime)
    print_error(f"finished before, on {finished:%Y-%m-%d %H:%M}; for what has come since, name another folder")
    return manifest


async def _open(session: Session, folder: DatasetFolder, plan: PlanSettings, selection: Selection) -> Dataset | None:
    """The dataset of this folder: the one that was begun with the same settings, else a new one; None if the folder is
    another's.
    """
    manifest, built_here = read_json(folder.manifest), folder.built_here()
    async with session.pool.connection() as connection:
        known = await datasets.dataset_in(connection, str(folder.root))
    wanted = plan.hash()
    found = manifest.get("settings_hash") if manifest else built_here[1] if built_here else None
    if found is None and not folder.is_empty():
        print_error(f"{folder.root} has files that are no dataset; name an empty folder, or a new one")
        return None
    if found not in (None, wanted):
        print_error(f"{folder.root} holds a dataset that was made with other settings; name another folder")
        return None
    if manifest and known:
        return known  # see :func:`_finished_before`
    if built_here and known and known.id == built_here[0]:
        print_error(f"continued: {counted(known.built, 'shard')} of {known.shards} built")
        return known
    if found is not None:
        print_error(
            f"{folder.root} was planned under another path or by another database, and is not finished; continue it "
            "there, or remove the folder to make it again"
            if known is None
            else f"{folder.root} belongs to an older plan; remove the folder to make it again"
        )
        return None
    return await _new(session, folder, plan, selection, known)


async def _new(
    session: Session, folder: DatasetFolder, plan: PlanSettings, selection: Selection, old: Dataset | None
) -> Dataset | None:
    """Store a new plan and queue its shards: all of it, or nothing."""
    totals, jobs = Totals(), list[int]()
    async with session.pool.connection() as connection:
        if old:  # its folder is gone
            cancelled = await transitions.cancel(connection, await datasets.unfinished_shard_jobs(connection, old.id))
            await session.queue.withdraw(connection, [job for job in cancelled.values() if job is not None])
            await datasets.remove_dataset(connection, old.id)
        root, settings = str(folder.root), plan.model_dump(mode="json")
        try:
            dataset = await datasets.insert_dataset(connection, plan.kind, root, settings, plan.hash())
        except UniqueViolation:
            print_error(f"another command has just planned a dataset in {root}; run this one again to follow it")
            await connection.rollback()
            return None
        number = 0
        async for split, items in planned(session, selection, plan, totals):
            stored = [item.model_dump(mode="json") for item in items]
            jobs.append(await datasets.insert_shard(connection, dataset, number, split, stored))
            number += 1
        if totals.items == totals.failed:
            await connection.rollback()
            reasons = f": {listed(totals.reasons)}" if totals.reasons else ""
            print_error(f"nothing to build; {counted(totals.items, 'recording')} selected{reasons}")
            return None
        await session.queue.put(connection, jobs)
        folder.mark(dataset, plan.hash())
    print_error(f"planned: {totals.sentence(plan.kind)}")
    async with session.pool.connection() as connection:
        return await datasets.dataset_in(connection, str(folder.root))


async def _build(session: Session, folder: DatasetFolder, dataset: Dataset) -> bool:
    """Wait until workers have built all shards; whether they could."""
    await _queue_again(session, folder, dataset)
    if not await session.queue.count_workers():
        print_error(NO_WORKER)
    reported: set[str] = set()
    try:
        with _bar(dataset.shards) as show:
            while True:
                async with session.pool.connection() as connection:
                    shards = await datasets.planned_shards(connection, dataset.id)
                show(sum(shard.state == "done" for shard in shards), sum(shard.samples or 0 for shard in shards))
                _report_problems(shards, reported)
                if all(shard.state in ("done", "failed", "cancelled", None) for shard in shards):
                    break
                await asyncio.sleep(FOLLOW_SECONDS)
    except asyncio.CancelledError:
        print_error("the shards are built without you; run the command again to follow and finish the dataset")
        raise
    if cancelled := sum(shard.state == "cancelled" for shard in shards):
        print_error(f"cancelled: {counted(cancelled, 'shard')} of {len(shards)}; run the command again to continue")
    if lacking := sum(shard.state not in ("done", "cancelled") for shard in shards):
        print_error(f"{counted(lacking, 'shard')} could not be built; run the command again to try again")
    return not cancelled and not lacking


async def _queue_again(session: Session, folder: DatasetFolder, dataset: Dataset) -> None:
    """Queue shards that failed, were cancelled, or whose files or jobs are gone."""
    async with session.pool.connection() as connection:
        if await datasets.hold_dataset(connection, dataset.id) is not None:
            return  # another command has just finished it, and its shards have other places
        shards = await datasets.planned_shards(connection, dataset.id)
        failed = [shard.job for shard in shards if shard.job and shard.state in ("failed", "cancelled")]
        jobs = await transitions.reopen(connection, failed)
        for shard in shards:
            if shard.job is None:
                jobs.append(await datasets.insert_job_again(connection, dataset.id, shard.number))
            elif shard.state == "done" and not _is_there(folder, shard):
                jobs += await transitions.repeat(connection, shard.job)
                await datasets.forget_shards(connection, dataset.id, [shard.number])
        await session.queue.put(connection, jobs)


def _is_there(folder: DatasetFolder, shard: PlannedShard) -> bool:
    """Whether a shard that is built is on the disk: in its place of now, or of the finished dataset."""
    from orchestrator.exports.dataset.build import shard_name
    from orchestrator.exports.dataset.shard_writer import ShardPaths

    paths = ShardPaths.of(folder.building, shard_name(shard.number))
    if folder.shards.exists():  # finishing has begun, and moves one after the other
        return paths.rows.exists()
    return all(path.exists() for path in paths) and paths.tar.stat().st_size == shard.bytes


def _report_problems(shards: Sequence[PlannedShard], reported: set[str]) -> None:
    """A line for each of the first shards that failed, and one for each reason to wait."""
    for shard in shards:
        if shard.error is None or shard.state not in ("failed", "waiting"):
            continue
        failed = shard.state == "failed"
        line = f"shard {shard.number} failed: {shard.error}" if failed else f"waiting: {shard.error}"
        if line not in reported and len(reported) < FEW:
            reported.add(line)
            print_error(visible(line))


async def _finish(session: Session, folder: DatasetFolder, dataset: Dataset) -> dict[str, Any]:
    """Make a dataset of the shards, unless another command has just done that."""
    from orchestrator.exports.dataset.finish import finish

    async with session.pool.connection() as connection:
        if await datasets.hold_dataset(connection, dataset.id) is not None:
            return read_json(folder.manifest) or {}
        manifest = read_json(folder.manifest)
        if manifest is None:
            shards = await datasets.planned_shards(connection, dataset.id)
            plan = PlanSettings.model_validate(dataset.settings)
            stopped = Event()
            splits = [shard.split for shard in shards]
            manifest = await call_blocking(
                partial(finish, folder, plan, splits, partial(_unless_stopped, stopped)), stopped.set
            )
        shutil.rmtree(folder.building, ignore_errors=True)
        await datasets.finish_dataset(connection, dataset.id, manifest["version"])
    return manifest


def _unless_stopped(stopped: Event) -> None:
    if stopped.is_set():
        raise InterruptedError("the command was interrupted")


def _report(
    folder: DatasetFolder,
    manifest: Mapping[str, Any],
    as_json: bool,
    target: Target | None,
    copied: "Uploaded | None",
) -> int:
    if as_json:
        to = {"uploaded": figures(target, copied)} if target and copied else {}
        print(json.dumps({"folder": str(folder.root), **manifest, **to}, ensure_ascii=False, indent=2))
    else:
        hours = f", {manifest['seconds'] / 3600:.2f} h" if manifest["seconds"] else ""
        print(
            f"{counted(manifest['samples'], 'sample')}{hours} in {counted(len(manifest['shards']), 'shard')}, "
            f"version {manifest['version']}: {folder.root}"
        )
        if manifest["failed"]:
            print(f"{manifest['failed']} without a sample ({listed(manifest['reasons'])}): {folder.failed}")
        if target and copied:
            print(sentence(target, copied))
    return 0 if manifest["samples"] else 1


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal; what it yields is called with the shards and samples so far."""
    if not sys.stderr.isatty():
        yield lambda shards, samples: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from orchestrator.cli.bars import bars

    count = TextColumn("{task.fields[samples]:,} samples")
    with bars(TextColumn("shards"), BarColumn(), MofNCompleteColumn(), count, TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total, samples=0)
        yield lambda shards, samples: progress.update(task, completed=shards, samples=samples)
