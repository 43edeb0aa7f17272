"""The HTTP API of the queue as a whole: its pauses, and how much it has transcribed."""

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.api.schemas import PauseQuery, PauseRequest, Pauses
from orchestrator.queue import rules


class PausesHandler(OrchestratorHandler):
    """``GET /api/pauses``; ``PUT`` pauses everything or a prefix, ``DELETE`` resumes it."""

    async def get(self) -> None:
        await self._finish()

    async def put(self) -> None:
        request = self.read_body(PauseRequest)
        async with self.service.pool.connection() as connection:
            await rules.pause(connection, request.prefix, f"{self.caller.name} from {self.request.remote_ip}")
        await self._finish()

    async def delete(self) -> None:
        query = self.read_query(PauseQuery)
        async with self.service.pool.connection() as connection:
            await rules.resume(connection, query.prefix)
        await self._finish()

    async def _finish(self) -> None:
        async with self.service.pool.connection() as connection:
            found = await rules.active_rules(connection)
        self.finish(Pauses(rules=found).model_dump(mode="json"))


class ThroughputHandler(OrchestratorHandler):
    """``GET /api/throughput``."""

    async def get(self) -> None:
        self.finish((await self.service.throughput.latest()).model_dump(mode="json"))
