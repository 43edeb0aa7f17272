"""Delivers the messages of the outbox: several at the same time, each until its receiver has it or it is given up.

It is no kind of work of the queue: a receiver that is away for a day would leave as many entries in the queue as jobs
have ended, which each worker would look through for its next job, and the queue puts nothing off for more than ten
minutes. An attempt that a kill has ended is begun again once its time is over.
"""

import asyncio
import collections
import logging
import time
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge

from orchestrator.database.pool import CONNECTION_ERRORS, Pool, one_line
from orchestrator.database.reconnect import retry_on_reconnect
from orchestrator.jobs import webhooks
from orchestrator.jobs.webhooks import Message
from orchestrator.webhooks.messages import body_of
from orchestrator.webhooks.sending import GONE, READING_SECONDS, Reply, Sender
from orchestrator.worker.retry import exponential
from reelscribe.settings.orchestrator import WebhooksSection

log = logging.getLogger(__name__)

MOST_RUNNING = 16
MOST_TOGETHER = 4
"""Attempts at one receiver at the same time: one that does not answer leaves room for the others."""
POLL_SECONDS = 0.5
RECORDING_SECONDS = 15.0
"""For the outcome of an attempt to be recorded, before the attempt is considered lost."""
CHORES_SECONDS = 60.0
MOST_REMOVED = 10_000


class WebhookDelivery:
    """Delivers messages until it is cancelled; any number of processes may do so.

    Args:
        public_url: of the orchestrator, for links.
        default_bucket: that links do not name.
    """

    def __init__(
        self,
        pool: Pool,
        sender: Sender,
        section: WebhooksSection,
        public_url: str | None,
        default_bucket: str,
        registry: CollectorRegistry,
    ) -> None:
        self._pool = pool
        self._sender = sender
        self._section = section
        self._public_url = public_url
        self._default_bucket = default_bucket
        self._lost_after = section.timeout + READING_SECONDS + RECORDING_SECONDS
        self._backoff = exponential(section.retry_seconds, section.longest_retry_seconds)
        self._running: dict[asyncio.Task[None], int] = {}
        """By attempt: at which receiver."""
        self._freed = asyncio.Event()
        """Set when an attempt has ended: another may begin."""
        self._chores_due = 0.0
        self._attempts = Counter(
            "reelscribe_webhook_attempts",
            "Attempts of this process to deliver a message: delivered, retried or failed",
            ["outcome"],
            registry=registry,
        )
        self._pending = Gauge(
            "reelscribe_webhooks_pending",
            f"Messages of webhooks that are not delivered yet, as far as {webhooks.MOST_COUNTED}",
            registry=registry,
        )

    async def run(self) -> None:
        """Deliver. A lost database is waited for."""
        task = asyncio.current_task()
        assert task
        try:
            while not task.cancelling():  # asyncio.wait_for of Python 3.11, in psycopg's pool, may swallow it
                self._freed.clear()
                try:
                    await self._do_chores()
                    await self._begin()
                except CONNECTION_ERRORS as lost:
                    log.debug("webhooks: not now: %s", one_line(lost))
                await self._sender.close_unused()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._freed.wait()
            raise asyncio.CancelledError
        finally:
            for attempt in self._running:
                attempt.cancel()
            if self._running:
                await asyncio.wait(self._running)

    async def _begin(self) -> None:
        while room := MOST_RUNNING - len(self._running):
            running = collections.Counter(self._running.values())
            async with self._pool.connection() as connection:
                taken = await webhooks.take(connection, room, MOST_TOGETHER, self._lost_after, running)
            for message in taken:
                task = asyncio.create_task(self._attempt(message), name=f"webhook {message.id}")
                self._running[task] = message.endpoint
                task.add_done_callback(self._forget)
            if not taken:
                return

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._freed.set()
        if not task.cancelled() and (raised := task.exception()):
            log.error("webhooks: an attempt failed", exc_info=raised)

    async def _attempt(self, message: Message) -> None:
        try:
            body = body_of(message.event, message.created_at, message.data, self._public_url, self._default_bucket)
            reply = await self._sender.send(message.url, message.message_id, body)
        except asyncio.CancelledError:
            with suppress(*CONNECTION_ERRORS):
                async with self._pool.connection() as connection:
                    await webhooks.hand_back(connection, message)
            raise
        except Exception as bug:
            log.exception("webhook %s", message.message_id)
            reply = Reply(None, f"the orchestrator failed with {type(bug).__name__}; its log has the details")
        recording = asyncio.create_task(self._record(message, reply))
        with suppress(*CONNECTION_ERRORS):  # then it is sent once more
            try:
                await asyncio.shield(recording)
            except asyncio.CancelledError:
                await recording
                raise

    @retry_on_reconnect
    async def _record(self, message: Message, reply: Reply) -> None:
        self._attempts.labels(await self._decide(message, reply)).inc()

    async def _decide(self, message: Message, reply: Reply) -> str:
        """Write down how an attempt ended, and what follows; how it ended."""
        status, failure = reply.status, reply.failure
        name = f"webhook {message.message_id} ({message.event} of job {message.data['job']})"
        async with self._pool.connection() as connection:
            if failure is None and status is not None:
                await webhooks.note_delivered(connection, message, status)
                log.info("%s: delivered at attempt %d", name, message.attempt)
                return "delivered"
            assert failure is not None
            if status == GONE:
                failure += ": it wants no more messages"
                await webhooks.note_gone(connection, message, GONE, failure)
            elif message.attempt >= self._section.max_attempts:
                failure = f"gave up after {message.attempt} attempts: {failure}"
                await webhooks.note_given_up(connection, message, status, failure)
            else:
                pause = max(self._backoff(message.attempt), min(reply.retry_after, self._section.longest_retry_seconds))
                await webhooks.note_retry(connection, message, status, failure, pause)
                log.warning("%s: %s; next try in %.0f s", name, failure, pause)
                return "retried"
        log.warning("%s: %s; send it again with: orchestrator webhooks retry %d", name, failure, message.id)
        return "failed"

    async def _do_chores(self) -> None:
        if time.monotonic() < self._chores_due:
            return
        section = self._section
        longest = section.longest_retry_seconds + section.retry_seconds + self._lost_after
        async with self._pool.connection() as connection:
            removed = await webhooks.look_after(connection, longest, section.keep_days, MOST_REMOVED)
            self._pending.set(await webhooks.count_pending(connection))
        if removed < MOST_REMOVED:
            self._chores_due = time.monotonic() + CHORES_SECONDS
