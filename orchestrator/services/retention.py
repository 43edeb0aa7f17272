"""Once a day, what the rules of ``[retention]`` no longer keep is removed, while everything else runs."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, time, timedelta

from orchestrator.database.locks import AdvisoryLock
from orchestrator.database.pool import CONNECTION_ERRORS, one_line, try_lock
from orchestrator.exports.retention import Removed, Retention
from orchestrator.session import Session
from reelscribe.errors import ServiceError

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the time that a run may work: the work of the day comes first."""
LONGEST_SLEEP = 300.0
"""Seconds: the clock may be set meanwhile."""


def _now() -> datetime:
    return datetime.now().astimezone()


async def apply_daily(session: Session, now: Callable[[], datetime] = _now) -> None:
    """Apply the rules at ``daily_at``, by the clock of this host, until cancelled; of all processes, one does."""
    section = session.settings.retention
    if section.daily_at is None or not section.rules:
        await asyncio.Event().wait()
        return
    retention = Retention(session.pool, session.deletions, section.rules, SHARE)
    due = next_time(now(), section.daily_at)
    log.info("retention: rules are applied daily at %s", f"{section.daily_at:%H:%M}")
    while True:
        left = (due - now()).total_seconds()
        if left > 0:
            await asyncio.sleep(min(left, LONGEST_SLEEP))
            continue
        due = next_time(now(), section.daily_at)
        try:
            async with try_lock(session.pool, AdvisoryLock.RETENTION) as alone:
                if alone:
                    await _apply(retention)
        except (ServiceError, *CONNECTION_ERRORS) as failed:
            log.warning("retention: %s; what is left is removed tomorrow", one_line(failed))
        except Exception:  # what one recording can cause must not stop all that runs with it
            log.exception("retention")


def next_time(now: datetime, at: time) -> datetime:
    """The first moment after ``now`` at which the clock shows ``at``."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


async def _apply(retention: Retention) -> None:
    total = Removed()
    async for some in retention.run():
        total += some
    if total.kept:
        log.warning("retention: %s recording(s) could not be removed: %s", total.kept, total.reason)
    removed = ", ".join(f"{count} {name}" for name, count in total.deleted.model_dump().items() if count)
    log.info("retention: removed %s; %s recording(s) from the bucket", removed or "nothing", total.recordings)
