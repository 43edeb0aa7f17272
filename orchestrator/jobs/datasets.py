"""Datasets: their plans, written once, and the jobs that build their shards.

Functions take the connection, so that the caller says what belongs to one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from psycopg.types.json import Jsonb

from orchestrator.database.sql import Connection, fetch_column, fetch_models, fetch_one, fetch_value
from orchestrator.jobs.models import UNFINISHED, Record, State

SHARD = "shard"
"""The kind of work that builds one shard."""
_LONG_PAUSES = "set local idle_in_transaction_session_timeout = '1d'"
"""While a plan is made, or a dataset is finished, the database may not be asked for minutes."""


DatasetState = Literal["building", "built", "finished", "failed", "cancelled"]


class Dataset(Record):
    """A dataset that is built, or was.

    Attributes:
        kind: ``pairs``, ``frames``, ``clips`` or ``speech``.
        folder: where its files are, on every host that builds it.
        recordings: how many the plan names.
        shards, built: how many the plan has, and how many of them are built.
        samples, failed: in the shards that are built, and items that gave none.
        unfinished, broken: shards whose jobs wait or run, and those whose jobs have failed; 0 once it is finished.
        problem: why a shard has failed, else why one waits.
        version: the hash of what is in it; None until it is finished.
    """

    id: int
    kind: str
    folder: str
    settings: dict[str, Any]
    settings_hash: str
    recordings: int
    shards: int
    built: int
    samples: int
    failed: int
    unfinished: int
    broken: int
    problem: str | None
    created_at: datetime
    finished_at: datetime | None
    version: str | None

    @property
    def state(self) -> DatasetState:
        """How far it is; ``built``: its make command has to finish it, ``cancelled``: shards are neither built nor to
        be built.
        """
        if self.version is not None:
            return "finished"
        if self.unfinished:
            return "building"
        if self.broken:
            return "failed"
        return "built" if self.built == self.shards else "cancelled"


class PlannedShard(Record):
    """One shard of a plan, and what became of it: its numbers are None until it is built."""

    number: int
    split: str
    job: int | None
    state: State | None
    error: str | None
    samples: int | None
    failed: int | None
    bytes: int | None
    sha256: str | None


_DATASETS = """
    select d.id, d.kind, d.folder, d.settings, d.settings_hash, d.recordings, d.created_at, d.finished_at, d.version,
        s.shards, s.built, s.samples, s.failed, s.unfinished, s.broken, s.problem
    from datasets d cross join lateral (
        select count(*) as shards, count(sha256) as built, coalesce(sum(samples), 0) as samples,
            coalesce(sum(failed), 0) as failed,
            count(*) filter (where j.state = any(%(unfinished)s)) as unfinished,
            count(*) filter (where j.state = 'failed') as broken,
            (array_agg(j.error_message order by j.state <> 'failed', number)
                filter (where j.state in ('failed', 'waiting') and j.error_message is not null))[1] as problem
        from dataset_shards left join jobs j on j.id = job_id and d.version is null where dataset_id = d.id
    ) s
"""


async def datasets(connection: Connection, before: int | None = None, limit: int | None = None) -> list[Dataset]:
    """The newest first: all, or so many whose id is less than ``before``."""
    return await fetch_models(
        connection,
        Dataset,
        f"{_DATASETS} where d.id < coalesce(%(before)s, d.id + 1) order by d.id desc limit %(limit)s",
        {"unfinished": list(UNFINISHED), "before": before, "limit": limit},
    )


async def dataset(connection: Connection, id: int) -> Dataset | None:
    """One of them."""
    return await _one(connection, "d.id = %(wanted)s", id)


async def dataset_in(connection: Connection, folder: str) -> Dataset | None:
    """The one whose files are in this folder."""
    return await _one(connection, "d.folder = %(wanted)s", folder)


async def _one(connection: Connection, condition: str, wanted: int | str) -> Dataset | None:
    parameters = {"unfinished": list(UNFINISHED), "wanted": wanted}
    found = await fetch_models(connection, Dataset, f"{_DATASETS} where {condition}", parameters)
    return found[0] if found else None


async def insert_dataset(
    connection: Connection, kind: str, folder: str, settings: Mapping[str, Any], settings_hash: str
) -> int:
    """A dataset without shards; its id. Another transaction that does the same waits for this one."""
    await connection.execute(_LONG_PAUSES)
    return int(
        await fetch_value(
            connection,
            """
            insert into datasets (kind, folder, settings, settings_hash, recordings)
            values (%s, %s, %s, %s, 0) returning id
            """,
            (kind, folder, Jsonb(dict(settings)), settings_hash),
        )
    )


async def insert_shard(
    connection: Connection, dataset: int, number: int, split: str, items: Sequence[Mapping[str, Any]]
) -> int:
    """A shard of a plan, and the job that is to build it; the id of the job, for the queue."""
    job = await _insert_job(connection, dataset, number)
    await connection.execute(
        "insert into dataset_shards (dataset_id, number, split, items, job_id) values (%s, %s, %s, %s, %s)",
        (dataset, number, split, Jsonb(list(items)), job),
    )
    await connection.execute("update datasets set recordings = recordings + %s where id = %s", (len(items), dataset))
    return job


async def insert_job_again(connection: Connection, dataset: int, number: int) -> int:
    """Another job for a shard whose job was deleted when it had failed; its id, for the queue."""
    job = await _insert_job(connection, dataset, number)
    statement = "update dataset_shards set job_id = %s where dataset_id = %s and number = %s"
    await connection.execute(statement, (job, dataset, number))
    return job


async def _insert_job(connection: Connection, dataset: int, number: int) -> int:
    return int(
        await fetch_value(
            connection,
            "insert into jobs (kind, options) values (%s, %s) returning id",
            (SHARD, Jsonb({"dataset": dataset, "shard": number})),
        )
    )


async def shard_of(connection: Connection, dataset: int, number: int) -> tuple[Path, str, Any, Any] | None:
    """Folder, split, settings and items of a shard that is to be built; None if it was removed."""
    found = await fetch_one(
        connection,
        """
        select d.folder, s.split, d.settings, s.items
        from dataset_shards s join datasets d on d.id = s.dataset_id where s.dataset_id = %s and s.number = %s
        """,
        (dataset, number),
    )
    return (Path(found[0]), *found[1:]) if found else None


async def record_shard(
    connection: Connection, dataset: int, number: int, samples: int, failed: int, size: int, sha256: str
) -> None:
    """Note what is in a shard that is built."""
    await connection.execute(
        """
        update dataset_shards set samples = %s, failed = %s, bytes = %s, sha256 = %s
        where dataset_id = %s and number = %s
        """,
        (samples, failed, size, sha256, dataset, number),
    )


async def planned_shards(connection: Connection, dataset: int) -> list[PlannedShard]:
    """All shards of a plan in order."""
    return await fetch_models(
        connection,
        PlannedShard,
        """
        select s.number, s.split, s.job_id as job, j.state, j.error_message as error, s.samples, s.failed, s.bytes,
            s.sha256
        from dataset_shards s left join jobs j on j.id = s.job_id where s.dataset_id = %s order by s.number
        """,
        (dataset,),
    )


async def forget_shards(connection: Connection, dataset: int, numbers: Sequence[int]) -> None:
    """Note that these are not built: their files are gone."""
    await connection.execute(
        """
        update dataset_shards set samples = null, failed = null, bytes = null, sha256 = null
        where dataset_id = %s and number = any(%s)
        """,
        (dataset, list(numbers)),
    )


async def hold_dataset(connection: Connection, dataset: int) -> str | None:
    """Keep others from finishing it until the transaction ends; its version if one of them has."""
    await connection.execute(_LONG_PAUSES)
    version: str | None = await fetch_value(
        connection, "select version from datasets where id = %s for update", (dataset,)
    )
    return version


async def finish_dataset(connection: Connection, dataset: int, version: str) -> None:
    """All is in its folder; what was said in the recordings need not be known here any more."""
    await connection.execute("update datasets set finished_at = now(), version = %s where id = %s", (version, dataset))
    await connection.execute("update dataset_shards set items = '[]' where dataset_id = %s", (dataset,))


async def unfinished_shard_jobs(connection: Connection, dataset: int) -> list[int]:
    """The jobs of its shards that wait or run."""
    return await fetch_column(
        connection,
        """
        select j.id from dataset_shards s join jobs j on j.id = s.job_id
        where s.dataset_id = %s and j.state = any(%s) order by j.id
        """,
        (dataset, list(UNFINISHED)),
    )


async def remove_dataset(connection: Connection, dataset: int) -> None:
    """Remove the plan and the jobs of its shards; files stay. Cancel what runs before."""
    jobs = await fetch_column(
        connection, "select job_id from dataset_shards where dataset_id = %s and job_id is not null", (dataset,)
    )
    await connection.execute("delete from datasets where id = %s", (dataset,))
    await connection.execute("delete from jobs where id = any(%s)", (jobs,))
