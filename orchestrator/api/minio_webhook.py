"""MinIO's events over HTTP."""

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.api.schemas import HookAnswer
from orchestrator.intake.event_intake import Outcomes
from orchestrator.intake.minio_events import Notification, written


class MinioHookHandler(OrchestratorHandler):
    """Submits what MinIO says was written; with ``HEAD``, MinIO checks that we are there."""

    max_body_bytes = 4 << 20

    @property
    def public(self) -> bool:  # type: ignore[override]
        """Some versions of MinIO send no token with HEAD; its answer gives nothing away."""
        return self.request.method == "HEAD"

    async def head(self, *path: str) -> None:
        self.finish()

    async def post(self) -> None:
        by_bucket: dict[str, list[str]] = {}
        for bucket, savepath in written(self.read_body(Notification)):
            by_bucket.setdefault(bucket, []).append(savepath)
        total = Outcomes()
        for bucket, savepaths in by_bucket.items():
            total += await self.service.intake.take(bucket, dict.fromkeys(savepaths))
        self.finish(HookAnswer(**total).model_dump())
