"""What cannot be used now: logged once when it goes and once when it is back, and not asked again too often."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.worker.retry import exponential
from reelscribe.errors import ServiceError

log = logging.getLogger(__name__)

PROBE_SECONDS = 15.0
"""How long other jobs wait for what becomes of the one job that tries again."""

pause_seconds = exponential(first=1, longest=30)
"""How long what failed so many times in a row is left alone before it is tried again."""


@dataclass
class Outage:
    """One thing that jobs need, such as a transcriber, and whether it can be used.

    Attributes:
        subject: what it is, for the log.
        failures: in a row.
        back_at: monotonic second before which it is left alone, because of ``reason``.
        probed_until: monotonic second until which one job tries it.
        logged: the log has this outage.
    """

    subject: str
    failures: int = 0
    back_at: float = 0.0
    probed_until: float = 0.0
    reason: ServiceError | None = None
    logged: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def unavailable_reason(self) -> ServiceError | None:
        """Why it is left alone now; None if it is not."""
        return self.reason if time.monotonic() < max(self.back_at, self.probed_until) else None

    @contextmanager
    def probing(self) -> Iterator[None]:
        """One job tries it now; if it has failed before, the others wait for the outcome, or for the end of the try."""
        until = self.probed_until = time.monotonic() + PROBE_SECONDS if self.failures else 0.0
        try:
            yield
        finally:
            if self.probed_until == until:
                self.probed_until = 0.0

    def note_failure(self, failure: ServiceError, quietly: bool = False) -> None:
        """Leave it alone for longer than the last time. Concurrent failures count once.

        Args:
            quietly: no job has asked for it, so the log does not have it yet.
        """
        now = time.monotonic()
        self.probed_until = 0.0
        if now < self.back_at:
            return
        if not self.failures:
            self.began = now
        self.failures += 1
        self.reason, self.back_at = failure, now + pause_seconds(self.failures)
        if not quietly:
            self.log()

    def log(self) -> None:
        """Log the outage, once."""
        if self.reason and not self.logged:
            self.logged = True
            log.warning("%s; jobs wait until that is over", self.reason.message)

    def note_success(self) -> None:
        """It works."""
        if self.logged:
            log.info("%s can be used again after %.0f s", self.subject, time.monotonic() - self.began)
        self.failures, self.back_at, self.probed_until, self.reason, self.logged = 0, 0.0, 0.0, None, False
