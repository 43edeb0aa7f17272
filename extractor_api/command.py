"""What the ``extractor-api`` command does."""

import asyncio
import resource
from pathlib import Path

import typer

from extractor_api.minio.s3_client import S3Client
from extractor_api.routes import make_app
from extractor_api.service import ExtractorService
from reelscribe import logs
from reelscribe.command_line import print_check, report_settings_errors
from reelscribe.errors import ServiceError
from reelscribe.http.auth import Tokens
from reelscribe.http.server import serve
from reelscribe.media import ffmpeg, inspection
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_process import keep_ready
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings


def run(config: Path | None) -> None:
    """Serve until a signal says stop."""
    logs.configure()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # an object may consist of 10,000 part files
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        work_begins()
        asyncio.run(_serve(chosen, binary))


async def _serve(chosen: Settings, binary: FFmpeg) -> None:
    service = ExtractorService(chosen, binary, Tokens.from_file(chosen.auth.token_file))
    await inspection.check(binary)
    service.log_start()
    async with keep_ready(binary.sandbox, chosen.extraction.start_timeout):
        await serve(service, make_app(service), chosen.server)


def check(config: Path | None) -> None:
    """Check config, ffmpeg, bucket and, if it is set, MinIO, one line each; exit 1 if one of them fails."""
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        work_begins()
        pyav = asyncio.run(inspection.check(binary))
        tokens = Tokens.from_file(chosen.auth.token_file)
        s3 = S3Client(chosen.minio) if chosen.minio.endpoint else None
    bucket = chosen.paths.minio_data_path / chosen.paths.bucket_name
    missing = FileNotFoundError(f"{bucket} is not a folder; see [paths] minio_data_path and bucket_name")
    checks = [
        print_check("config", "a token is asked for" if tokens else "read; no token is asked for"),
        print_check("ffmpeg", f"{binary.version} at {binary.path}" + (f"; {binary.unfixed}" if binary.unfixed else "")),
        print_check("PyAV", pyav),
        print_check("bucket", str(bucket) if bucket.is_dir() else missing),
        *([print_check("minio", _check_minio(s3, chosen.paths.bucket_name))] if s3 else ()),
    ]
    raise typer.Exit(0 if all(checks) else 1)


def _check_minio(s3: S3Client, bucket_name: str) -> str | ServiceError:
    try:
        return s3.check(bucket_name)
    except ServiceError as failure:
        return failure
