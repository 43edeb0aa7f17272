"""config.cfg and the environment, read once at start into frozen models; every mistake is named at once.

A value comes from, in this order: the environment (``REELSCRIBE_SECTION__KEY``), config.cfg, the default below.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from iniconfig import IniConfig, ParseError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

ENVIRONMENT_PREFIX = "REELSCRIBE_"
SEARCHED = (Path("config.cfg"), Path("/etc/reelscribe/config.cfg"))


class SettingsError(Exception):
    """config.cfg or the environment is wrong; ``problems`` holds one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _comma_separated(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _not_empty(value: Any) -> Any:
    if value == "":
        raise ValueError("is empty; name a path, or leave the key out")
    return value


def _expanded(path: Path) -> Path:
    return Path(os.path.expanduser(path)).absolute()


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+/?", value):
        raise ValueError(f"{value!r} is not a base URL such as http://machine-c:8888")
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    if value and not re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", value):
        raise ValueError(f"{value!r} is not HOST:PORT such as minio:9000; secure says whether HTTPS is spoken")
    return value


def _bucket_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) or ".." in value:
        raise ValueError(f"{value!r} is not a bucket name (3 to 63 lower-case letters, digits, '.' or '-')")
    return value


AnyPath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_expanded)]
OptionalPath = Annotated[AnyPath | None, BeforeValidator(_empty_is_none)]
BucketName = Annotated[str, AfterValidator(_bucket_name)]
Url = Annotated[str, AfterValidator(_http_url)]
Port = Annotated[int, Field(ge=0, le=65535)]
GpuIndex = Annotated[int, Field(ge=0, le=63)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]


class Section(BaseModel):
    """One section of config.cfg: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Listener(Section):
    """Where a machine listens, and how long it may take to stop."""

    host: str = "127.0.0.1"
    port: Port
    tls_cert: OptionalPath = None
    tls_key: OptionalPath = None
    grace_seconds: Seconds = 10

    @field_validator("tls_key")
    @classmethod
    def _tls_key_has_its_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if key and info.data.get("tls_cert", key) is None:
            raise ValueError("needs tls_cert beside it; without one, HTTP would be spoken in the clear")
        return key


class ServerSection(Listener):
    """``[server]``: Machine C's listener."""

    port: Port = 8888


class PathsSection(Section):
    """``[paths]``: where Machine C finds the bucket."""

    temp_dir: AnyPath = Path(tempfile.gettempdir())
    default_audio_format: Literal["mp3", "wav", "flac", "source"] = "mp3"
    minio_data_path: AnyPath = Path("/data/minio")
    bucket_name: BucketName = "videos"
    buckets: Annotated[tuple[BucketName, ...], BeforeValidator(_comma_separated)] = ()


class ExtractionSection(Section):
    """``[extraction]``: Machine C's ffmpeg and its limits (all times in seconds)."""

    ffmpeg: OptionalPath = None
    max_ffmpeg: int = Field(default=max(2, os.cpu_count() or 2), ge=1, le=256)
    queue_length: int = Field(default=32, ge=0, le=10_000)
    start_timeout: Seconds = 30
    stall_timeout: Annotated[float, Field(ge=30, le=7 * 86400)] = 60
    max_duration: Seconds = 86400
    result_ttl: Seconds = 600
    mp3_compression_level: int = Field(default=7, ge=0, le=9)


class MinioSection(Section):
    """``[minio]``: MinIO's S3 API, for objects that Machine C cannot read from the drive; off without an endpoint."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    access_key: str = ""
    secret_key_file: OptionalPath = None
    secure: bool = True

    @model_validator(mode="after")
    def _endpoint_has_its_keys(self) -> "MinioSection":
        if self.endpoint and not (self.access_key and self.secret_key_file):
            raise ValueError("endpoint needs access_key and secret_key_file beside it")
        return self

    def secret_key(self) -> str:
        """The key in ``secret_key_file``.

        Raises:
            SettingsError: the file cannot be read, or holds something else.
        """
        path = self.secret_key_file
        try:
            words = path.read_text(encoding="utf-8").split() if path else []
        except OSError as unreadable:
            raise SettingsError([f"[minio] secret_key_file: {path} cannot be read: {unreadable.strerror}"]) from None
        except UnicodeDecodeError:
            raise SettingsError([f"[minio] secret_key_file: {path} is not UTF-8 text"]) from None
        if len(words) != 1:
            wanted = "must hold the secret key in one line, and nothing else"
            raise SettingsError([f"[minio] secret_key_file: {path} {wanted}"])
        return words[0]


class TranscriberSection(Listener):
    """``[transcriber]``: Machine B's listener, model and capacity."""

    port: Port = 8889
    extractor_url: Url = "http://127.0.0.1:8888"
    audio_format: Literal["wav", "flac", "source"] = "wav"
    model: str = Field(default="mini", min_length=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: Literal[
        "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
    ] = "auto"
    device_index: Annotated[tuple[GpuIndex, ...], BeforeValidator(_comma_separated), Field(min_length=1)] = (0,)
    cpu_threads: int = Field(default=0, ge=0, le=1024)
    batch_size: int = Field(default=8, ge=1, le=256)
    audio_context: Literal["full", "fitted"] = "full"
    max_jobs: int = Field(default=4, ge=1, le=1000)
    queue_length: int = Field(default=16, ge=0, le=10_000)
    idle_unload_seconds: float = Field(default=0, ge=0, le=30 * 86400)
    max_upload_bytes: int = Field(default=2 << 30, ge=1, le=1 << 50)


class OrchestratorSection(Listener):
    """``[orchestrator]``: Machine A's listener, its Machine Bs and its patience."""

    port: Port = 8890
    transcriber_urls: Annotated[tuple[Url, ...], BeforeValidator(_comma_separated), Field(min_length=1)] = (
        "http://127.0.0.1:8889",
    )
    extractor_url: Annotated[Url | None, BeforeValidator(_empty_is_none)] = None
    max_attempts: int = Field(default=5, ge=1, le=100)
    max_running: int = Field(default=4, ge=1, le=1000)
    progress_timeout: Seconds = 15
    worker_timeout: Seconds = 20


_ENCODED = r"%(?!00)[0-9A-Fa-f]{2}"
_LETTER = rf"(?:[^%/?#@:\x00-\x20\x7f]|{_ENCODED})"
_HOST = rf"(?:\[[^]%/?#@]*\]|(?:(?![,\[]){_LETTER})*)(?::[0-9]*)?"
_PARAMETER = rf"[A-Za-z_]+=(?:[^%=&#@\x00-\x20\x7f]|{_ENCODED})*"
_POSTGRESQL_URL = re.compile(
    rf"postgres(?:ql)?://(?:(?:{_LETTER}|:)*@)?{_HOST}(?:,{_HOST})*(?:/{_LETTER}*)?(?:\?{_PARAMETER}(?:&{_PARAMETER})*)?"
)
"""Stricter than libpq: what it takes apart at another place than was meant, its messages show with the password."""


def _database_url(value: str) -> str:
    if value == "embedded":
        return value
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("expected 'embedded' or a URL such as postgresql://user@host/reelscribe")
    if not _POSTGRESQL_URL.fullmatch(value) or "\N{REPLACEMENT CHARACTER}" in unquote(value):
        encoded = "a %, /, ?, @, # or blank in the password must be percent-encoded (@ is %40)"
        raise ValueError(f"cannot be read; {encoded}")
    return value


class DatabaseSection(Section):
    """``[database]``: Machine A's PostgreSQL."""

    url: Annotated[str, AfterValidator(_database_url)] = "embedded"
    data_dir: AnyPath = Path("~/.local/share/reelscribe/postgres").expanduser()
    answer_timeout: Seconds = 30


class EventsSection(Section):
    """``[events]``: which objects Machine A submits by itself, and how it hears of them (times in seconds)."""

    prefixes: Annotated[tuple[str, ...], BeforeValidator(_comma_separated)] = ()
    suffixes: Annotated[tuple[str, ...], BeforeValidator(_comma_separated), Field(min_length=1)] = (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".ts", ".3gp", ".ogv"),
        *(".mp3", ".m4a", ".aac", ".wav", ".flac", ".ogg", ".opus", ".wma"),
    )
    reconcile_every: float = Field(default=0, ge=0, le=30 * 86400)
    settle_seconds: Seconds = 5


class ResultsSection(Section):
    """``[results]``: where Machine A stores finished transcripts as objects; nowhere without a bucket."""

    bucket: Annotated[BucketName | None, BeforeValidator(_empty_is_none)] = None
    prefix: str = Field(default="", max_length=512)
    formats: Annotated[
        tuple[Literal["txt", "srt", "vtt", "tsv", "json", "jsonl"], ...],
        BeforeValidator(_comma_separated),
        Field(min_length=1),
    ] = ("json", "srt")


class AuthSection(Section):
    """``[auth]``: the bearer tokens all machines share."""

    token_file: OptionalPath = None


class Settings(BaseSettings):
    """All of config.cfg. Build it with :func:`load`, which turns mistakes into :class:`SettingsError`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,
        case_sensitive=True,  # [Server] is a mistake; names of the environment are read in any case
    )

    server: ServerSection = ServerSection()
    paths: PathsSection = PathsSection()
    extraction: ExtractionSection = ExtractionSection()
    minio: MinioSection = MinioSection()
    transcriber: TranscriberSection = TranscriberSection()
    orchestrator: OrchestratorSection = OrchestratorSection()
    database: DatabaseSection = DatabaseSection()
    events: EventsSection = EventsSection()
    results: ResultsSection = ResultsSection()
    auth: AuthSection = AuthSection()

    @property
    def listing_url(self) -> str:
        """Machine C's, for Machine A."""
        return self.orchestrator.extractor_url or self.transcriber.extractor_url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then config.cfg (handed in as arguments by :func:`load`)."""
        return EnvSettingsSource(settings_cls, case_sensitive=False), init_settings


def load(path: Path | None = None) -> Settings:
    """Read config.cfg (``path``, else the first of ``SEARCHED`` that exists, else none) and the environment.

    Relative paths in the file are relative to the file's folder, those in the environment to the current one.

    Raises:
        SettingsError: with every mistake, each as ``config.cfg:12: [server] port: what is wrong``.
    """
    if path is None:
        path = next((candidate for candidate in SEARCHED if candidate.is_file()), None)
    file = _read_file(path) if path else None
    problems = _unknown_environment(os.environ)
    try:
        values: dict[str, Any] = _values(file) if file else {}
        settings = Settings(**values)
    except ValidationError as invalid:
        raise SettingsError(problems + [_problem(error, file) for error in invalid.errors()]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _read_file(path: Path) -> IniConfig:
    try:
        return IniConfig.parse(str(path), encoding="utf-8-sig")
    except OSError as unreadable:
        raise SettingsError([f"{path}: cannot be read: {unreadable.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text"]) from None
    except ParseError as malformed:
        raise SettingsError([f"{malformed.path}:{malformed.lineno + 1}: {malformed.msg}"]) from None


def _values(file: IniConfig) -> dict[str, Any]:
    """The file's sections, with relative paths made absolute."""
    base = Path(file.path).absolute().parent
    values: dict[str, dict[str, Any]] = {name: dict(keys) for name, keys in file.sections.items()}
    for name, keys in values.items():
        for key, value in keys.items():
            if value and key in _path_keys(name):
                keys[key] = base / os.path.expanduser(value)
    return values


def _path_keys(section_name: str) -> set[str]:
    section = Settings.model_fields.get(section_name)
    if section is None or section.annotation is None:
        return set()
    fields: Mapping[str, Any] = section.annotation.model_fields
    return {key for key, field in fields.items() if field.annotation in (Path, Path | None, AnyPath | None)}


def _unknown_environment(environment: Mapping[str, str]) -> list[str]:
    return [
        f"{name}: no section [{section}]; the sections are {', '.join(Settings.model_fields)}"
        for name in sorted(environment)
        if name.startswith(ENVIRONMENT_PREFIX)
        and (section := name[len(ENVIRONMENT_PREFIX) :].partition("__")[0].lower()) not in Settings.model_fields
    ]


def _problem(error: Any, file: IniConfig | None) -> str:
    section, key = ([str(part) for part in error["loc"]] + ["", ""])[:2]
    variable = f"{ENVIRONMENT_PREFIX}{section}__{key}".upper()
    if key and variable in (name.upper() for name in os.environ):
        where = variable
    elif file is not None:
        line = file.lineof(section, key) or file.lineof(section)
        where = f"{file.path}:{line}" if line else file.path
    else:
        where = "settings"
    if error["type"] == "extra_forbidden":
        known = _known_names(section if key else None)
        message = f"unknown {'key' if key else 'section'}; known are {', '.join(known)}"
    else:
        message = error["msg"].removeprefix("Value error, ")
    return f"{where}: [{section}]{' ' + key if key else ''}: {message}"


def _known_names(section_name: str | None) -> list[str]:
    if section_name is None:
        return list(Settings.model_fields)
    annotation = Settings.model_fields[section_name].annotation
    return list(annotation.model_fields) if annotation else []
