"""``dataset list``."""

from pathlib import Path

from orchestrator.cli.console import counted, print_json, visible
from orchestrator.jobs import datasets
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
        else:
            for dataset in found:
                state = dataset.version or f"{dataset.built} of {counted(dataset.shards, 'shard')} built"
                failed = f", {dataset.failed} failed" if dataset.failed else ""
                samples = counted(dataset.samples, "sample")
                print(visible(f"{dataset.kind:<7} {state:<18} {samples}{failed}  {dataset.folder}"))
        return 0 if found else 1

    run(config, work)
