"""The HTTP API of Machine A."""

from typing import Any

from pydantic import Field, model_validator

from machine.auth import Tokens
from machine.errors import BadRequest, JobNotFound
from machine.server import Machine, MachineHandler
from machine.settings import BucketName
from orchestrator import formats, store
from orchestrator.database import TROUBLE, Pool
from orchestrator.errors import DatabaseUnavailable
from orchestrator.jobs import STATES, Options, Priority, State, StorableSavepath
from orchestrator.search import SearchQuery, search
from orchestrator.submission import Desk

MOST_JOBS = 1000
"""Jobs of one page."""


class OrchestratorMachine(Machine):
    """Machine A: what its handlers work with.

    Args:
        default_bucket: where savepaths are looked for when a request names no bucket.
    """

    def __init__(self, tokens: Tokens, pool: Pool, desk: Desk, default_bucket: str) -> None:
        super().__init__("orchestrator", tokens)
        self.pool = pool
        self.desk = desk
        self.default_bucket = default_bucket


class SubmitRequest(Options):
    """Body of ``POST /api/jobs``: one savepath or several, and how to transcribe them."""

    savepath: StorableSavepath | None = None
    savepaths: list[StorableSavepath] = Field(default=[], max_length=10_000)
    bucket_name: BucketName | None = None
    priority: Priority = 0
    force: bool = False

    @model_validator(mode="after")
    def _some_savepath(self) -> "SubmitRequest":
        if (self.savepath is None) == (not self.savepaths):
            raise ValueError("give either savepath, or savepaths with at least one")
        return self


class OrchestratorHandler(MachineHandler):
    """A request that needs the database."""

    machine: OrchestratorMachine

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        raised = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(raised, TROUBLE):
            gone = DatabaseUnavailable("the database does not answer; try again in a moment")
            kwargs["exc_info"] = (type(gone), gone, None)
        super().write_error(status_code, **kwargs)

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """A query parameter that is one of these, or absent.

        Raises:
            BadRequest: it is another.
        """
        value = self.get_query_argument(name, None)
        if value is not None and value not in choices:
            raise BadRequest(f"{name}: {value!r} is none of {', '.join(choices)}", allowed=list(choices))
        return value

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        """A query parameter that is a whole number of this range, or absent.

        Raises:
            BadRequest: it is something else.
        """
        value = self.get_query_argument(name, None)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) < 19 and lowest <= int(value) <= highest):
            raise BadRequest(f"{name}: {value!r} is no whole number from {lowest} to {highest}")
        return int(value)


class JobsHandler(OrchestratorHandler):
    """``POST /api/jobs`` submits; ``GET /api/jobs`` lists, newest first."""

    max_body_bytes = 12 << 20

    async def post(self) -> None:
        request = self.read_body(SubmitRequest)
        submitted = await self.machine.desk.submit(
            request.bucket_name or self.machine.default_bucket,
            request.savepaths or [request.savepath or ""],
            request,
            request.priority,
            request.force,
        )
        self.set_status(202)
        self.finish({"jobs": [{**job.model_dump(mode="json"), "outcome": outcome} for job, outcome in submitted]})

    async def get(self) -> None:
        limit = self.number("limit", 1, MOST_JOBS) or 100
        after = self.number("after", 0, 1 << 62)
        wanted = self.choice("state", STATES)
        state: State | None = next((known for known in STATES if known == wanted), None)
        async with self.machine.pool.connection() as connection:
            jobs = await store.list_jobs(connection, state, after, limit)
        following = jobs[-1].id if len(jobs) == limit else None
        self.finish({"jobs": [job.model_dump(mode="json") for job in jobs], "next": following})


class JobHandler(OrchestratorHandler):
    """``GET /api/jobs/{id}``."""

    async def get(self, id: str) -> None:
        async with self.machine.pool.connection() as connection:
            jobs = await store.jobs_by_id(connection, [int(id)])
        if not jobs:
            raise JobNotFound(f"there is no job {id}; GET /api/jobs lists them")
        self.finish(jobs[0].model_dump(mode="json"))


class TranscriptHandler(OrchestratorHandler):
    """``GET /api/transcripts/{savepath}?format=json|jsonl|txt|srt|vtt|tsv``."""

    async def get(self, savepath: str) -> None:
        wanted = formats.parse_format(self.get_query_argument("format", "json"))
        timestamps = self.choice("timestamps", ("true", "false")) == "true"
        bucket = self.get_query_argument("bucket_name", self.machine.default_bucket)
        if "\0" in savepath + bucket:
            raise BadRequest("a savepath holds no NUL character")
        async with self.machine.pool.connection() as connection:
            found = await store.transcript(connection, bucket, savepath)
            if found is None:
                raise await store.no_transcript(connection, bucket, savepath)
        self.set_header("Content-Type", formats.CONTENT_TYPES[wanted])
        self.finish(formats.render(found, wanted, timestamps))


class SearchHandler(OrchestratorHandler):
    """``GET /api/search?q=``: segments that hold these words, the newest transcripts first."""

    async def get(self) -> None:
        query = self.read_query(SearchQuery)
        async with self.machine.pool.connection() as connection:
            found = await search(connection, query, self.machine.default_bucket)
        self.finish({"hits": [hit.model_dump(mode="json") for hit in found.hits], "next": found.next})


class HealthHandler(OrchestratorHandler):
    """``GET /healthz``: whether this machine and its database work, and how many jobs are in which state."""

    public = True

    async def get(self) -> None:
        health = self.machine.health()
        try:
            async with self.machine.pool.connection(timeout=3) as connection:
                health["jobs"] = await store.count_by_state(connection)
            health["database"] = "ok"
        except TROUBLE:
            health["database"], health["status"] = "unreachable", "broken"
        self.set_status(200 if health["status"] == "ok" else 503)
        self.finish(health)
