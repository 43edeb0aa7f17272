"""The orchestrator's settings, with their defaults; the comments of config.cfg describe each key."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from reelscribe.settings.fields import (
    AnyPath,
    BucketFolder,
    BucketName,
    CommaSeparated,
    DatabaseUrl,
    EmptyIsNone,
    HostName,
    OptionalPath,
    Port,
    Seconds,
    Url,
    WebhookUrl,
    bucket_and_folder,
)
from reelscribe.settings.shared import Listener, Section
from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format


class OrchestratorSection(Listener):
    """``[orchestrator]``: the orchestrator's listener, its transcribers and its timeouts."""

    port: Port = 8890
    transcriber_urls: Annotated[tuple[Url, ...], CommaSeparated, Field(min_length=1)] = ("http://127.0.0.1:8889",)
    extractor_url: Annotated[Url | None, EmptyIsNone] = None
    max_attempts: int = Field(default=5, ge=1, le=100)
    max_running: Annotated[Annotated[int, Field(ge=1, le=1000)] | None, EmptyIsNone] = None
    max_shards: int = Field(default=1, ge=0, le=64)
    progress_timeout: Seconds = 15
    worker_timeout: Seconds = 20
    worker_port: Annotated[Port | None, EmptyIsNone] = None


class McpSection(Listener):
    """``[mcp]``: where ``orchestrator mcp --http`` listens for assistants."""

    port: Port = 8891


def _default_data_dir(name: str) -> Path:
    """Root's own folders are closed to the user as whom PostgreSQL runs then."""
    if os.geteuid() == 0:
        return Path("/var/lib/reelscribe", name)
    return Path("~/.local/share/reelscribe", name).expanduser()


class DatabaseSection(Section):
    """``[database]``: the orchestrator's PostgreSQL."""

    url: DatabaseUrl = "embedded"
    data_dir: AnyPath = _default_data_dir("postgres")
    answer_timeout: Seconds = 30


class EventsSection(Section):
    """``[events]``: which objects the orchestrator submits by itself, and how it finds them (times in seconds)."""

    prefixes: Annotated[tuple[str, ...], CommaSeparated] = ()
    suffixes: Annotated[tuple[str, ...], CommaSeparated, Field(min_length=1)] = (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
        *(".vob", ".mxf", ".3gp", ".ogv", ".mp3", ".m4a", ".m4b", ".mka", ".aac", ".wav", ".flac", ".ogg", ".oga"),
        *(".opus", ".wma", ".amr", ".aiff", ".aif", ".caf"),
    )
    reconcile_every: float = Field(default=0, ge=0, le=30 * 86400)
    settle_seconds: Seconds = 5
    when_object_removed: Literal["keep", "delete"] = "keep"
    watch_port: Annotated[Port | None, EmptyIsNone] = None


class ResultsSection(Section):
    """``[results]``: where the orchestrator stores transcripts, previews and sound as objects."""

    bucket: Annotated[BucketName | None, EmptyIsNone] = None
    prefix: str = Field(default="", max_length=512)
    formats: Annotated[tuple[Format, ...], CommaSeparated, Field(min_length=1)] = (Format.JSON, Format.SRT)
    name: str = Field(default="", max_length=512, validate_default=True)
    gif: Annotated[BucketFolder | None, EmptyIsNone] = None
    webp: Annotated[BucketFolder | None, EmptyIsNone] = None
    mp4: Annotated[BucketFolder | None, EmptyIsNone] = None
    previews: int = Field(default=2, ge=1, le=16)
    audio: Annotated[BucketFolder | None, EmptyIsNone] = None
    audio_format: Literal["mp3", "flac", "wav"] = "mp3"

    @property
    def media(self) -> dict[str, tuple[str, str]]:
        """Bucket and folder of what is made of picture and sound, by the key that names them."""
        named = {key: getattr(self, key) for key in ("gif", "webp", "mp4", "audio")}
        return {key: bucket_and_folder(value) for key, value in named.items() if value}

    @property
    def wanted(self) -> bool:
        """Whether anything is to be stored."""
        return self.bucket is not None or bool(self.media)

    @field_validator("name")
    @classmethod
    def _name_of_each_format(cls, name: str, info: ValidationInfo) -> str:
        FileNames(name).check(info.data.get("formats", ()))
        return name


WebhookEvent = Literal["job.complete", "job.incomplete", "job.failed", "job.cancelled"]


class WebhooksSection(Section):
    """``[webhooks]``: who is notified of the end of transcriptions, and how (times in seconds)."""

    urls: Annotated[tuple[WebhookUrl, ...], CommaSeparated, Field(max_length=16)] = ()
    secret_file: OptionalPath = None
    events: Annotated[tuple[WebhookEvent, ...], CommaSeparated, Field(min_length=1)] = (
        *("job.complete", "job.incomplete", "job.failed", "job.cancelled"),
    )
    allowed_hosts: Annotated[tuple[HostName, ...], CommaSeparated] = ()
    timeout: float = Field(default=15, gt=0, le=300)
    max_attempts: int = Field(default=32, ge=1, le=1000)
    retry_seconds: float = Field(default=10, gt=0, le=3600)
    longest_retry_seconds: float = Field(default=3600, gt=0, le=86400)
    keep_days: float = Field(default=30, gt=0, le=3650)

    @model_validator(mode="after")
    def _urls_have_their_secret(self) -> Self:
        if self.urls and self.secret_file is None:
            raise ValueError("urls needs secret_file as well, with which messages are signed")
        return self


class IngestSection(Section):
    """``[ingest]``: how ``orchestrator ingest`` downloads recordings (times in seconds)."""

    data_dir: AnyPath = _default_data_dir("ingest")
    format: str = Field(default="", max_length=512)
    max_bytes: int = Field(default=10 << 30, ge=1)
    sleep: float = Field(default=10, ge=0, le=86400)
    sleep_requests: float = Field(default=0.75, ge=0, le=86400)
    timeout: Seconds = 30
    attempts: int = Field(default=5, ge=1, le=100)
    retry_seconds: float = Field(default=5, ge=0, le=86400)
    pause_seconds: float = Field(default=3600, ge=0, le=30 * 86400)
    cookies_file: OptionalPath = None


class ClientSection(Section):
    """``[client]``: the orchestrator that commands on this host are for, if it is on another one."""

    server: Annotated[Url | None, EmptyIsNone] = None
    token_file: OptionalPath = None


class UploadsSection(Section):
    """``[uploads]``: recordings that the page and ``POST /api/uploads`` take (times in seconds)."""

    data_dir: AnyPath = _default_data_dir("uploads")
    max_bytes: int = Field(default=10 << 30, ge=1)
    max_unfinished: int = Field(default=100, ge=1, le=10_000)
    keep_seconds: float = Field(default=86400, ge=60, le=30 * 86400)
