"""MinIO's events over HTTP."""

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.api.schemas import HookAnswer
from orchestrator.intake.event_intake import Outcomes
from orchestrator.intake.minio_events import Notification, Reported, removed, written


class MinioHookHandler(OrchestratorHandler):
    """Submits what MinIO says was written, and notes what it says was removed; with ``HEAD``, MinIO checks that we are
    there.
    """

    max_body_bytes = 4 << 20

    @property
    def public(self) -> bool:  # type: ignore[override]
        """Some versions of MinIO send no token with HEAD; its answer gives nothing away."""
        return self.request.method == "HEAD"

    async def head(self, *path: str) -> None:
        self.finish()

    async def post(self) -> None:
        notification, intake = self.read_body(Notification), self.service.intake
        total = Outcomes()
        for bucket, savepaths in _by_bucket(written(notification)).items():
            uploaded = await self.service.uploads.finish_stored(bucket, savepaths)
            others = [savepath for savepath in savepaths if savepath not in uploaded]
            total += Outcomes(new=len(uploaded)) + await intake.take(bucket, dict.fromkeys(others))
        for bucket, savepaths in _by_bucket(removed(notification)).items():
            total["removed"] += await intake.removed.check(bucket, savepaths)
        self.finish(HookAnswer(**total).model_dump())


def _by_bucket(reported: list[Reported]) -> dict[str, list[str]]:
    by_bucket: dict[str, list[str]] = {}
    for bucket, savepath in reported:
        by_bucket.setdefault(bucket, []).append(savepath)
    return by_bucket
