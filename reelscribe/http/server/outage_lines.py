"""An outage refuses one request after the other for one reason; the log says it once for a while."""

import time

from reelscribe.errors import ServiceError

QUIET_SECONDS = 600.0
OUTAGE_CODES = ("bucket_unavailable", "peer_unreachable")


class OutageLines:
    """Remembers which outages the log has."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}

    def is_new(self, failure: ServiceError) -> bool:
        """Whether the log lacks this failure; from now on it has it. What is no outage always is new."""
        if failure.code not in OUTAGE_CODES:
            return True
        now = time.monotonic()
        self._logged = {message: at for message, at in self._logged.items() if now < at + QUIET_SECONDS}
        is_new = failure.message not in self._logged
        self._logged.setdefault(failure.message, now)
        return is_new
