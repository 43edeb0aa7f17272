"""A client that holds the service to its contract, and uploads that find what an earlier service has left."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.api.handlers import OrchestratorService
from orchestrator.database.pool import Pool
from orchestrator.intake.submission import Submissions
from orchestrator.intake.uploads import Uploads
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.extractor import PathsSection
from reelscribe.settings.loading import Settings
from tests.orchestrator.contract import CONTRACT


@pytest.fixture
async def api(serving: Callable[[Tokens], str]) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens()), event_hooks=hooks, timeout=60) as client:
        yield client


@pytest.fixture
def restart(
    orchestrator_service: OrchestratorService, pool: Pool, submissions: Submissions, tmp_path: Path
) -> Callable[..., Uploads]:
    """Uploads as a service that was restarted finds them; with other settings, if some are given."""

    def start(**sections: Any) -> Uploads:
        settings = Settings(paths=PathsSection(minio_data_path=tmp_path / "minio"), **sections)
        orchestrator_service.uploads = Uploads(settings, pool, submissions)
        return orchestrator_service.uploads

    return start
