"""Writes that wait for a database that is gone."""

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from orchestrator.database.pool import CONNECTION_ERRORS

RECONNECT_SECONDS = 20.0
"""How long a write waits for a database that is gone."""

retry_on_reconnect = retry(
    retry=retry_if_exception_type(CONNECTION_ERRORS),
    wait=wait_random_exponential(multiplier=0.2, max=2),
    stop=stop_after_delay(RECONNECT_SECONDS),
    reraise=True,
)
"""For writes that may be repeated: a connection can break after the commit, before its answer arrives."""
