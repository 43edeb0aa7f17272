"""The handlers for monitors: ``/healthz`` and ``/metrics``."""

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reelscribe.http.server import ServiceHandler


class HealthHandler(ServiceHandler):
    """``GET /healthz``: whether this service works, for monitors; needs no token."""

    public = True

    async def get(self) -> None:
        health = await self.health()
        status = {"ok": 200, "degraded": self.service.degraded_status}.get(health["status"], 503)
        self.set_status(status)
        self.finish(health)

    async def health(self) -> dict[str, Any]:
        """The answer; ``status`` is degraded while there are problems."""
        health, problems = self.service.health(), await self.service.problems()
        status = "degraded" if problems and health["status"] == "ok" else health["status"]
        return {**health, "status": status, "problems": problems}


class MetricsHandler(ServiceHandler):
    """``GET /metrics``: Prometheus text."""

    async def get(self) -> None:
        await self.service.refresh_metrics()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self.service.registry))
