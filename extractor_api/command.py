"""What the ``extractor-api`` command does."""

import asyncio
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from extractor_api.bucket_check import check_bucket
from extractor_api.routes import make_app
from extractor_api.service import ExtractorService, s3_client
from extractor_api.storage import LocalStorage
from reelscribe import logs
from reelscribe.command_line import print_check, report_settings_errors
from reelscribe.errors import ServiceError, SettingsError
from reelscribe.http.access.tokens import Tokens
from reelscribe.http.server.serving import serve
from reelscribe.media import ffmpeg, inspection
from reelscribe.media.ffmpeg import FFmpeg
from reelscribe.media.inspection_process import keep_ready
from reelscribe.media.pictures import ready
from reelscribe.media.processes.sandbox import check_sandbox
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings

if TYPE_CHECKING:
    from extractor_api.minio.s3_client import S3Client


def run(config: Path | None) -> None:
    """Serve until a signal says stop."""
    logs.configure()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # an object may consist of 10,000 part files
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        logs.configure(chosen.log.number, chosen.log.format, "extractor-api")
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        work_begins()
        asyncio.run(_serve(chosen, binary))


async def _serve(chosen: Settings, binary: FFmpeg) -> None:
    service = ExtractorService(chosen, binary, Tokens.from_file(chosen.auth.token_file))
    await inspection.check(binary)
    service.log_start()
    async with (
        keep_ready(binary.sandbox, chosen.extraction.start_timeout),
        ready.keep_ready(binary.sandbox, chosen.extraction.max_duration * (os.cpu_count() or 1)),
    ):
        await serve(service, make_app(service), chosen.server)


def check(config: Path | None) -> None:
    """Check config, ffmpeg, its sandbox, each bucket and MinIO if it is set, one line each; exit 1 if one fails."""
    with report_settings_errors():
        chosen = load_settings(choose_config(config))
        binary = ffmpeg.locate(chosen.extraction.ffmpeg)
        work_begins()
        tokens = Tokens.from_file(chosen.auth.token_file)
        s3 = s3_client(chosen.minio)
    storage = LocalStorage(chosen.paths)
    checks = [
        print_check("config", "a token is asked for" if tokens else "read; no token is asked for"),
        print_check("ffmpeg", binary.description),
        print_check("sandbox", check_sandbox(binary.sandbox)),
        print_check("PyAV", _check_pyav(binary)),
        *(
            print_check(f"bucket {bucket}" if number else "bucket", check_bucket(storage, chosen.paths, bucket, s3))
            for number, bucket in enumerate(storage.buckets)
        ),
        *([print_check("minio", _check_minio(s3, chosen.paths.bucket_name))] if s3 else ()),
    ]
    raise typer.Exit(0 if all(checks) else 1)


def _check_pyav(binary: FFmpeg) -> str | SettingsError:
    try:
        return asyncio.run(inspection.check(binary))
    except SettingsError as failure:
        return failure


def _check_minio(s3: "S3Client", bucket_name: str) -> str | ServiceError:
    try:
        return s3.check(bucket_name)
    except ServiceError as failure:
        return failure
