"""Home: submit savepaths, and watch all jobs."""

from orchestrator.jobs.queries import list_jobs
from orchestrator.page.handler import PageHandler


class HomePage(PageHandler):
    """``GET /``."""

    page = "jobs"

    async def get(self) -> None:
        async with self.service.pool.connection() as connection:
            jobs = await list_jobs(connection, limit=50)
        await self.render("home.html", jobs=jobs)
