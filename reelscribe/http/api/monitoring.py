"""The handlers for monitors, ``/healthz`` and ``/metrics``, and for operators: ``/diagnosis``."""

import ipaddress
import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from reelscribe.contracts.diagnosis import Diagnosis, Finding
from reelscribe.contracts.scopes import Scope
from reelscribe.http.server.service import ServiceHandler
from reelscribe.version import version


class HealthHandler(ServiceHandler):
    """``GET /healthz``: whether this service works, for monitors; needs no token."""

    public = True

    async def get(self) -> None:
        health = await self.health()
        degraded_status = 200 if health["problems"] == self.service.renewal.problems else self.service.degraded_status
        self.set_status({"ok": 200, "degraded": degraded_status}.get(health["status"], 503))
        self.finish(health)

    async def health(self) -> dict[str, Any]:
        """The answer; ``status`` is degraded while there are problems."""
        health, problems = self.service.health(), await self.service.problems()
        problems = [*problems, *self.service.renewal.problems]
        status = "degraded" if problems and health["status"] == "ok" else health["status"]
        warnings = [*health.get("warnings", ()), *self.service.warnings]
        return {**health, "status": status, "problems": problems, "warnings": warnings}


class MetricsHandler(ServiceHandler):
    """``GET /metrics``: Prometheus text."""

    async def get(self) -> None:
        await self.service.refresh_metrics()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self.service.registry))


class DiagnosisHandler(ServiceHandler):
    """``GET /diagnosis``: what an operator should know of this service. It changes nothing. Looking runs programs, so
    who asks meanwhile gets the same.

    Versions and weaknesses of what a host runs are for its operators: other callers only learn what they may do.
    """

    async def get(self) -> None:
        found = [self._access(), *await self.service.findings()] if self.caller.may(Scope.ADMIN) else [self._withheld()]
        diagnosis = Diagnosis(
            service=self.service.name,
            version=version(),
            time=time.time(),
            caller=self.caller.name,
            scope=self.caller.scope or Scope.READ,
            findings=found,
        )
        self.finish(diagnosis.model_dump(mode="json"))

    def _withheld(self) -> Finding:
        return Finding.warning(
            "findings",
            f"they are shown to tokens of the scope {Scope.ADMIN}; {self.caller.name} has {self.caller.scope}",
            f"give this token the scope {Scope.ADMIN} in the token_file of its host, or ask with a token that has it",
        )

    def _access(self) -> Finding:
        tokens = self.service.access.tokens
        if tokens:
            scopes = ", ".join(f"{sum(token.scope is scope for token in tokens.all)} {scope}" for scope in Scope)
            return Finding.ok("access", f"asks for a token; it accepts {len(tokens.all)} ({scopes})")
        if self._reached_from_outside():
            access = self.service.access
            found = Finding.warning if access.asks_for_certificate else Finding.fault
            return found(
                "access",
                f"no token is asked for, and other hosts can reach it: {access.those_without_token} may use it",
                "set [auth] token_file to the same file on each host, then restart all services",
            )
        return Finding.ok("access", "asks for no token, and was reached on this host")

    def _reached_from_outside(self) -> bool:
        connection: Any = self.request.connection
        try:
            return not ipaddress.ip_address(connection.stream.socket.getsockname()[0]).is_loopback
        except (AttributeError, ValueError, OSError):  # the client has left
            return False
