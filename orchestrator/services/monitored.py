"""A process without an API of its own, a worker or a folder watch: if it is given a port, monitors can ask there."""

import logging
from collections.abc import Callable

from orchestrator.database.pool import CONNECTION_ERRORS
from orchestrator.session import Session
from reelscribe.http.access.allowed_hosts import AllowedHosts
from reelscribe.http.api.routes import Api
from reelscribe.http.peers.watch import PeerWatch
from reelscribe.http.server.service import Service
from reelscribe.http.server.serving import serve, supervised

log = logging.getLogger(__name__)

DATABASE_SECONDS = 3.0


class MonitoredService(Service):
    """What monitors see of such a process.

    Args:
        name: of the command.

    Attributes:
        lacks: what its work lacks now, in sentences without addresses.
        extractor: of a folder watch, which asks it about changes.
    """

    def __init__(self, name: str, session: Session) -> None:
        section = session.settings.orchestrator
        super().__init__(name, session.tokens, AllowedHosts.of("orchestrator", section))
        self.lacks: Callable[[], list[str]] = list
        self.extractor: PeerWatch | None = None
        self._session = session

    async def problems(self) -> list[str]:
        found = self.lacks()
        if self.extractor and (problem := await self.extractor.problem()):
            found.append(f"{problem}: changed and removed objects wait")
        try:
            async with self._session.pool.connection(timeout=DATABASE_SECONDS):
                return found
        except CONNECTION_ERRORS:
            return ["the database does not answer", *found]

    async def run(self, port: int | None) -> None:
        """Wait for SIGTERM or SIGINT, or until ``stopping`` is set; answer ``/healthz`` and ``/metrics`` meanwhile.

        Args:
            port: to listen on, at ``[orchestrator] host``; None: on none.

        Raises:
            SettingsError: the port is in use.
        """
        if port is not None:
            api = Api(f"Reelscribe {self.name}", "For monitors.", ())
            # The URL for clients is that of the API, and not of this process.
            listener = self._session.settings.orchestrator.model_copy(update={"port": port, "public_url": None})
            await serve(self, api.application(self), listener)
            return
        async with supervised(self):
            await self.stopping.wait()
            log.info("%s: stopping", self.name)
