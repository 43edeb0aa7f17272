"""A real S3 server, a worker that stores results there, and what is left of a recording."""

import asyncio
import threading
from pathlib import Path

import pytest

from orchestrator.exports.deletion import Deletions
from orchestrator.exports.pending_results import STORE_RESULT
from orchestrator.exports.result_bucket import ResultBucket
from orchestrator.exports.results import ResultStore
from orchestrator.worker.kinds import Kind
from orchestrator.worker.retry import RetryPolicy
from orchestrator.worker.stalled_jobs import Sweeper
from orchestrator.worker.worker import Worker
from reelscribe.settings.orchestrator import ResultsSection
from tests.orchestrator.conftest import BUCKET, MAX_ATTEMPTS
from tests.s3_server import emptied, minio
from tests.waiting import eventually


@pytest.fixture
def s3(s3_port):
    return emptied(s3_port, "words")


@pytest.fixture
def names(s3):
    return lambda: sorted(found.object_name for found in s3.list_objects(bucket_name="words", recursive=True))


class Gate:
    """A results bucket that can be made to wait."""

    def __init__(self, bucket: ResultBucket) -> None:
        self.bucket = bucket
        self.reached, self.open = threading.Event(), threading.Event()
        self.open.set()

    def put(self, *arguments) -> None:
        self.reached.set()
        assert self.open.wait(60)
        self.bucket.put(*arguments)

    def remove(self, *arguments) -> None:
        self.bucket.remove(*arguments)


@pytest.fixture
async def storing(pool, queue, tmp_path, s3, s3_port):
    """A worker that stores results."""
    section = ResultsSection.model_validate({"bucket": "words"})
    gate = Gate(ResultBucket(minio(tmp_path, s3_port), "words"))
    store = ResultStore(pool, queue, gate, section, (BUCKET, "more"))
    await store.follow_transcriptions()
    kind = Kind(STORE_RESULT, 1, store.work, RetryPolicy(max_failures=None, backoff=lambda failures: 0.1))
    task = asyncio.create_task(Worker(pool, queue, [kind], Sweeper(pool, queue, MAX_ATTEMPTS)).run())
    yield gate
    gate.open.set()
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def stored(sql):
    async def wait(jobs: int):
        done = "select 1 from jobs where kind = 'store_result' and state = 'done' having count(*) = %s"
        await eventually(lambda: sql(done, jobs))

    return wait


@pytest.fixture
def deletions(pool, queue, tmp_path, s3_port):
    return Deletions(pool, queue, minio(tmp_path, s3_port))


@pytest.fixture
def traces(sql):
    """Every row of every table that names one of these recordings, or a job of one: by its id, or in its text."""

    async def find(savepath: str, ids: list[int]) -> dict[str, int]:
        found = {}
        columns = await sql(
            """
            select c.table_name, array_agg(c.column_name::text) from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where c.table_schema = 'public' and t.table_type = 'BASE TABLE' group by 1
            """
        )
        assert {"jobs", "media", "segments", "attempts", "stored_results"} <= {table for table, _ in columns}
        for table, names in columns:
            tests = ["row_to_json(x)::text like %s"]
            parameters: list[object] = [f"%{savepath}%"]
            for name in {"transcription_id", "job", "media_id", "job_id"} & set(names):
                owner = "procrastinate_jobs" if name == "job_id" else "media" if name == "media_id" else "jobs"
                if owner != "procrastinate_jobs":
                    tests.append(f"x.{name} not in (select id from {owner})")
            if table == "procrastinate_jobs":
                tests.append("(x.args->>'job')::bigint = any(%s)")
                parameters.append(ids)
            [(count,)] = await sql(f"select count(*) from {table} x where {' or '.join(tests)}", *parameters)
            if count:
                found[table] = count
        return found

    return find


@pytest.fixture
def ids_of(sql):
    async def find(savepath: str) -> list[int]:
        rows = await sql("select j.id from jobs j join media m on m.id = j.media_id where m.savepath = %s", savepath)
        return [id for (id,) in rows]

    return find


def configure(config: Path, folder: Path, s3_port: int, lines: str) -> None:
    """Give a config.cfg these rules, and the S3 server."""
    minio(folder, s3_port)  # writes the key
    config.write_text(
        f"{config.read_text()}[retention]\nrules =\n    {lines}\n[minio]\nendpoint = 127.0.0.1:{s3_port}\n"
        f"access_key = reader\nsecure = false\nsecret_key_file = {folder}/secret\n"
    )
