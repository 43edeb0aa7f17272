"""What this host's config.cfg needs in addition to services and database: ``check`` and ``doctor`` look at it."""

from pathlib import Path

from orchestrator.ingest.environment import ENVIRONMENT, Environment
from orchestrator.webhooks.signing import Secrets
from reelscribe.blocking_calls import call_blocking
from reelscribe.contracts.extractor import ObjectsQuery
from reelscribe.errors import ServiceError, SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.peers.extractor_client import ExtractorClient
from reelscribe.settings.loading import Settings


def signing(secret_file: Path) -> str | ServiceError:
    """Whether webhooks can be signed."""
    try:
        Secrets.from_file(secret_file)
    except SettingsError as mistake:
        return ServiceError("; ".join(mistake.problems))
    return "messages are signed"


async def ingest(chosen: Settings) -> str | ServiceError | None:
    """Whether yt-dlp runs; None if it is not installed."""
    environment = Environment(chosen.ingest.data_dir / ENVIRONMENT)
    if not environment.python.exists():
        return None
    of_yt_dlp = await environment.version()
    broken = ServiceError("yt-dlp does not run; install it again with: orchestrator ingest setup")
    return f"yt-dlp {of_yt_dlp}" if of_yt_dlp else broken


async def buckets(chosen: Settings, tokens: Tokens) -> dict[str, str | ServiceError]:
    """Each bucket of ``[paths]``, and whether the extractor reads it."""
    found: dict[str, str | ServiceError] = {}
    async with ExtractorClient(chosen.listing_url, tokens) as extractor:
        for bucket in dict.fromkeys((chosen.paths.bucket_name, *chosen.paths.buckets)):
            try:
                await extractor.objects(ObjectsQuery(bucket_name=bucket, limit=1))
                found[f"bucket {bucket}"] = "the extractor reads it"
            except ServiceError as refused:
                found[f"bucket {bucket}"] = refused
    return found


async def result_buckets(chosen: Settings) -> dict[str, str | None]:
    """Each bucket that ``[results]`` names, and why nothing can be stored in it; None: it is there."""
    section = chosen.results
    wanted = {"bucket": section.bucket} if section.bucket else {}
    wanted |= {key: bucket for key, (bucket, _) in section.media.items()}
    if not wanted:
        return {}
    from orchestrator.exports.media_results import without_folder
    from orchestrator.exports.result_bucket import ResultBucket
    from orchestrator.intake.event_intake import RecordingFilter

    wrong = without_folder(section, RecordingFilter(chosen).buckets)
    found: dict[str, str | None] = {}
    for key, bucket in wanted.items():
        subject = f"[results] {key} {bucket}"
        try:
            found[subject] = wrong.get(key) or await call_blocking(ResultBucket(chosen.minio, bucket, key).problem)
        except SettingsError as mistake:
            found[subject] = "; ".join(mistake.problems)
    return found
