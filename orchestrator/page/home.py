"""Home: submit savepaths, watch all jobs, and see how the queue does."""

from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode

from orchestrator.api.schemas import JobsQuery
from orchestrator.jobs import stats
from orchestrator.jobs.matching import JobFilter, page_of_jobs
from orchestrator.jobs.models import State
from orchestrator.page.formats import count, decimal, duration, universal_time
from orchestrator.page.handler import PageHandler, policy
from orchestrator.page.job_row import JobRow
from orchestrator.queue.rules import active_rules
from reelscribe.http.server.parsing import parse_query
from reelscribe.languages import NAMES

JOBS_SHOWN = 50
FILTERS = ("state", "prefix", "text")
NONE = "\N{EN DASH}"
LANGUAGES = sorted((name.replace("_", " ").capitalize(), code) for code, name in NAMES.items())


class HomePage(PageHandler):
    """``GET /``: complete without scripts; with them it stays up to date."""

    page = "jobs"

    async def get(self) -> None:
        given = {name: values for name, values in self.request.query_arguments.items() if values[-1]}
        query = parse_query(JobsQuery, {name: values for name, values in given.items() if name in (*FILTERS, "after")})
        async with self.service.pool.connection() as connection:
            wanted = JobFilter(query.state, query.prefix, query.text)
            found = await page_of_jobs(connection, wanted, query.after, JOBS_SHOWN)
            overview = await stats.overview(connection)
            oldest = await stats.oldest_waiting_seconds(connection)
            rules = await active_rules(connection)
        workers = await self.service.queue.count_workers()
        bucket, now = self.service.default_bucket, datetime.now(UTC)
        filters = {name: getattr(query, name) or "" for name in FILTERS}
        if endpoint := self.service.uploads.browser_endpoint:
            self.set_header("Content-Security-Policy", policy(endpoint))
        self.render(
            "home.html",
            rows=[JobRow.of(job, now, bucket) for job in found.jobs],
            pattern=JobRow(),
            bucket=bucket,
            shown=JOBS_SHOWN,
            filters=filters,
            filtered=any(filters.values()),
            after=query.after,
            newest=address(filters),
            older=address({**filters, "after": str(found.next)}) if found.next else None,
            states=get_args(State),
            figures=figures(overview, oldest, workers),
            idle=idle_reason(overview, workers),
            rules=rules,
            languages=LANGUAGES,
            universal_time=universal_time,
            uploads=self.service.uploads.are_possible(),
        )


def address(query: dict[str, str]) -> str:
    """Of Home with these filters."""
    given = urlencode({name: value for name, value in query.items() if value})
    return f"/?{given}" if given else "/"


def idle_reason(overview: stats.Overview, workers: int) -> str:
    """Why no job that waits is begun; empty if none waits or nothing prevents it."""
    if not overview.unfinished:
        return ""
    if not (overview.no_transcriber or workers):
        return "No worker is running, so no job begins."
    away = [f"bucket {bucket} cannot be read now: {reason}" for bucket, reason in overview.buckets_away.items()]
    return overview.no_transcriber or "; ".join(away) or ("All that waits is paused." if overview.all_paused else "")


def figures(overview: stats.Overview, oldest: float | None, workers: int) -> dict[str, tuple[str, str]]:
    """What is said of the queue: the value of each figure, by its name in ``static/totals.js``, and its label."""
    totals = overview.totals
    waiting = totals.get("queued", 0) + totals.get("waiting", 0)
    eta = overview.eta_seconds if workers else None
    return {
        "running": ("Running", count(totals.get("running", 0))),
        "waiting": ("Waiting", count(waiting)),
        "failed": ("Failed", count(totals.get("failed", 0))),
        "done": ("Done", count(totals.get("done", 0))),
        "audio": ("Audio done", f"{decimal(overview.done_seconds / 3600)} h"),
        "speed": ("Audio an hour", f"{decimal(overview.speed)} h" if overview.speed else NONE),
        "oldest": ("Oldest waiting", duration(oldest) if oldest is not None else NONE),
        "left": ("Time left, about", duration(eta) if eta is not None and overview.unfinished else NONE),
    }
