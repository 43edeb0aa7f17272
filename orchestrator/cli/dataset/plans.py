"""``dataset list`` and ``cancel``: the plans that the database knows."""

from pathlib import Path

from orchestrator.cli.console import counted, print_json, visible
from orchestrator.exports.dataset.layout import DatasetFolder
from orchestrator.jobs import datasets, transitions
from orchestrator.session import Session, print_error, run


def list_datasets(as_json: bool, config: Path | None) -> None:
    """Which datasets there are, and how far they are."""

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            found = await datasets.datasets(connection)
        if as_json:
            print_json([dataset.model_dump(mode="json", exclude={"settings"}) for dataset in found])
        elif not found:
            print_error("no dataset has been made; see: orchestrator dataset make --help")
        for dataset in () if as_json else found:
            state = dataset.version or f"{dataset.built} of {counted(dataset.shards, 'shard')} built"
            failed = f", {dataset.failed} failed" if dataset.failed else ""
            samples = counted(dataset.samples, "sample")
            print(visible(f"{dataset.kind:<7} {state:<24} {samples}{failed}  {dataset.folder}"))
        return 0 if found else 1

    run(config, work)


def cancel(folder: Path, as_json: bool, config: Path | None) -> None:
    """Build no more shards of a dataset."""
    root = str(DatasetFolder.of(folder).root)

    async def work(session: Session) -> int:
        async with session.pool.connection() as connection:
            dataset = await datasets.dataset_in(connection, root)
            if dataset is None:
                print_error(f"no dataset is made in {root}; see: orchestrator dataset list")
                return 1
            unfinished = await datasets.unfinished_shard_jobs(connection, dataset.id)
            cancelled = await transitions.cancel(connection, unfinished)
            await session.queue.withdraw(connection, [job for job in cancelled.values() if job is not None])
        if as_json:
            print_json({"cancelled": len(cancelled), "built": dataset.built})
        else:
            print(f"cancelled {counted(len(cancelled), 'shard')}; {dataset.built} are built and stay")
        return 0

    run(config, work)
