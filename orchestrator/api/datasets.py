"""``/api/datasets``: the datasets that were made with this database, and how far they are."""

import asyncio

from pydantic import Field

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.database.pool import Pool
from orchestrator.errors import DatabaseUnavailable
from orchestrator.exports.dataset.shown import ShownDataset, shown
from orchestrator.jobs.datasets import datasets
from orchestrator.jobs.models import Record
from reelscribe.contracts.messages import WireModel
from reelscribe.http.api.operations import JSON, Answer, Operation

MOST_DATASETS = 1000
"""Of one page."""


class DatasetsQuery(WireModel):
    """Query of ``GET /api/datasets``; ``after`` is ``next`` of the page before."""

    after: int | None = Field(default=None, ge=0, le=10**18)
    limit: int = Field(default=100, ge=1, le=MOST_DATASETS)


class DatasetPage(Record):
    """Answer of ``GET /api/datasets``; ``next`` is the ``after`` of the next page, None on the last."""

    datasets: list[ShownDataset]
    next: int | None


async def page_of_datasets(pool: Pool, after: int | None, limit: int) -> DatasetPage:
    """So many datasets, the newest first."""
    async with pool.connection() as connection:
        found = await datasets(connection, after, limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return DatasetPage(datasets=await asyncio.to_thread(shown, found[:limit]), next=following)


class DatasetsHandler(OrchestratorHandler):
    """``GET`` lists, the newest first."""

    async def get(self) -> None:
        query = self.read_query(DatasetsQuery)
        page = await page_of_datasets(self.service.pool, query.after, query.limit)
        self.finish(page.model_dump(mode="json"))


DATASET_OPERATIONS = (
    Operation(
        "GET",
        "/api/datasets",
        "datasets",
        "A page of the datasets that were made with this database, and how far they are, the newest first",
        (Answer("The page.", {JSON: DatasetPage}),),
        (DatabaseUnavailable,),
        query=DatasetsQuery,
        handler=DatasetsHandler,
    ),
)
