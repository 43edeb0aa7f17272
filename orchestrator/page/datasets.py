"""The page of datasets, and their reports."""

import asyncio
import os
from datetime import UTC, datetime
from typing import BinaryIO

from orchestrator.api.datasets import DatasetsQuery, page_of_datasets
from orchestrator.exports.dataset.shown import ShownDataset, open_report
from orchestrator.jobs.datasets import dataset
from orchestrator.page.formats import count, universal_time
from orchestrator.page.handler import PageHandler
from reelscribe.errors import RouteNotFound
from reelscribe.http.server.parsing import parse_query

DATASETS_SHOWN = 20
BLOCK_BYTES = 1 << 20

PATTERN = ShownDataset(
    id=0, name="", kind="", state="building", note=None, recordings=0, shards=0, built=0, samples=0, failed=0,
    created_at=datetime.fromtimestamp(0, UTC), finished_at=None, version=None, report_url=None,
)  # fmt: skip
"""Of what a script shows."""

REPORT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "media-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    )
)
"""A report holds its own style, pictures and sounds. Nothing in it is a script, and nothing of it belongs to this site:
whoever can write the folder of a dataset gains nothing here.
"""


class DatasetsPage(PageHandler):
    """``GET /datasets``: complete without scripts; with them it stays up to date."""

    page = "datasets"

    async def get(self) -> None:
        given = {name: values for name, values in self.request.query_arguments.items() if name == "after"}
        query = parse_query(DatasetsQuery, given)
        found = await page_of_datasets(self.service.pool, query.after, DATASETS_SHOWN)
        await self.render(
            "datasets.html",
            datasets=found.datasets,
            pattern=PATTERN,
            after=query.after,
            older=f"/datasets?after={found.next}" if found.next is not None else None,
            shown=DATASETS_SHOWN,
            count=count,
            universal_time=universal_time,
        )


class ReportPage(PageHandler):
    """``GET /datasets/{id}/report``: the file as ``orchestrator dataset report`` wrote it, without any rights."""

    async def get(self, id: str) -> None:
        async with self.service.pool.connection() as connection:
            found = await dataset(connection, int(id))
        report = await asyncio.to_thread(open_report, found) if found else None
        if report is None:
            raise RouteNotFound("this dataset has no report here; orchestrator dataset report DIR writes one")
        with report:
            await self._send(report)

    async def _send(self, report: BinaryIO) -> None:
        about = os.fstat(report.fileno())
        self.set_header("Content-Security-Policy", REPORT_POLICY)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("ETag", f'"{about.st_mtime_ns:x}-{about.st_size:x}"')
        if self.check_etag_header():
            self.set_status(304)
            return
        left = about.st_size
        self.set_header("Content-Length", left)
        while left and (block := await asyncio.to_thread(report.read, min(BLOCK_BYTES, left))):
            left -= len(block)
            await self.send(block)
