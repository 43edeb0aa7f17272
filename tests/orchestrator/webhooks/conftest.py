"""A receiver on this host, and what delivers messages to it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from orchestrator.database.pool import Pool
from orchestrator.intake.submission import Submissions, Submitted
from orchestrator.jobs import webhooks
from orchestrator.jobs.models import Options
from orchestrator.jobs.webhooks import Delivery
from orchestrator.webhooks.delivery import WebhookDelivery
from orchestrator.webhooks.sending import Sender
from orchestrator.webhooks.signing import Secrets
from reelscribe.settings.orchestrator import WebhooksSection
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.webhooks.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
DOCS = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()


ALL = ("job.complete", "job.incomplete", "job.failed", "job.cancelled")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "webhook.secret"
    file.write_text(f"# ours\n{SECRET}\n")
    return file


@pytest.fixture
def delivering(pool: Pool, secret_file: Path) -> Callable[..., AbstractAsyncContextManager[CollectorRegistry]]:
    """Deliver during the block, with settings that have it tried again soon."""

    @asynccontextmanager
    async def deliver(**chosen: Any) -> AsyncIterator[CollectorRegistry]:
        registry = CollectorRegistry()
        soon = {"retry_seconds": 0.01, "longest_retry_seconds": 0.05, "allowed_hosts": "127.0.0.1", "timeout": 5}
        section = WebhooksSection.model_validate({**soon, **chosen})
        async with Sender(Secrets.from_file(secret_file), section) as sender:
            delivery = WebhookDelivery(pool, sender, section, "https://reelscribe.example.com", BUCKET, registry)
            task = asyncio.create_task(delivery.run())
            try:
                yield registry
            finally:
                task.cancel()
                await asyncio.wait([task])
            assert task.cancelled(), task.exception()

    return deliver


@pytest.fixture
def log_of(pool: Pool) -> Callable[..., Awaitable[list[Delivery]]]:
    """The log of deliveries, as soon as none is pending, or once all of ``wanted`` is true of the newest."""

    async def read(seconds: float = 20, **wanted: Any) -> list[Delivery]:
        for _ in range(int(seconds / 0.02)):
            async with pool.connection() as connection:
                found = await webhooks.deliveries(connection)
            values = found[0].model_dump() if found else {}
            if found and (wanted.items() <= values.items() if wanted else all(one.ended_at for one in found)):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(found[:3])

    return read


@pytest.fixture
def configured(pool: Pool, receiver: Receiver) -> Callable[..., Awaitable[None]]:
    """Have the receiver notified of all transcriptions."""

    async def configure(*events: str, url: str = "") -> None:
        async with pool.connection() as connection:
            await webhooks.configure(connection, [url or receiver.url], events or ALL)

    return configure


@pytest.fixture
def subscribed(submissions: Submissions, receiver: Receiver) -> Callable[..., Awaitable[Submitted]]:
    """Submit a savepath with a webhook of its own."""

    async def submit(savepath: str = "a.mp4", url: str = "", force: bool = False) -> Submitted:
        [submitted] = await submissions.submit(BUCKET, [savepath], Options(), force=force, webhook=url or receiver.url)
        return submitted

    return submit
