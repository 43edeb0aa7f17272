"""config.cfg and the environment, read once at start into frozen models; all mistakes are reported together.

A value comes from, in this order: the environment (``REELSCRIBE_SECTION__KEY``), the last of ``conf.d/*.cfg`` next to
config.cfg that has it, config.cfg, the default.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelscribe.errors import SettingsError
from reelscribe.mistakes import mistake
from reelscribe.settings.config_file import CONFIG_VARIABLE
from reelscribe.settings.config_texts import ConfigTexts
from reelscribe.settings.extractor import ExtractionSection, PathsSection, ServerSection
from reelscribe.settings.fields import AnyPath
from reelscribe.settings.orchestrator import (
    ClientSection,
    DatabaseSection,
    EventsSection,
    IngestSection,
    McpSection,
    OrchestratorSection,
    ResultsSection,
    UploadsSection,
    WebhooksSection,
)
from reelscribe.settings.retention import RetentionSection
from reelscribe.settings.shared import AuthSection, LogSection, MinioSection
from reelscribe.settings.transcriber import TranscriberSection
from reelscribe.trust import Trust, trust

ENVIRONMENT_PREFIX = "REELSCRIBE_"
SERVER_VARIABLE = "REELSCRIBE_SERVER"
"""URL of the orchestrator that commands are for, as ``[client] server``."""


class Settings(BaseModel):
    """All of config.cfg. Build it with :func:`load_settings`, which turns mistakes into a :class:`SettingsError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    server: ServerSection = Field(default_factory=lambda: ServerSection())
    paths: PathsSection = Field(default_factory=lambda: PathsSection())
    extraction: ExtractionSection = Field(default_factory=lambda: ExtractionSection())
    minio: MinioSection = Field(default_factory=lambda: MinioSection())
    transcriber: TranscriberSection = Field(default_factory=lambda: TranscriberSection())
    orchestrator: OrchestratorSection = Field(default_factory=lambda: OrchestratorSection())
    mcp: McpSection = Field(default_factory=lambda: McpSection())
    database: DatabaseSection = Field(default_factory=lambda: DatabaseSection())
    events: EventsSection = Field(default_factory=lambda: EventsSection())
    results: ResultsSection = Field(default_factory=lambda: ResultsSection())
    retention: RetentionSection = Field(default_factory=lambda: RetentionSection())
    webhooks: WebhooksSection = Field(default_factory=lambda: WebhooksSection())
    ingest: IngestSection = Field(default_factory=lambda: IngestSection())
    uploads: UploadsSection = Field(default_factory=lambda: UploadsSection())
    client: ClientSection = Field(default_factory=lambda: ClientSection())
    auth: AuthSection = Field(default_factory=lambda: AuthSection())
    log: LogSection = Field(default_factory=lambda: LogSection())

    @property
    def listing_url(self) -> str:
        """The URL of the extractor that lists buckets for the orchestrator."""
        return self.orchestrator.extractor_url or self.transcriber.extractor_url


def load_settings(path: Path | None) -> Settings:
    """Read config.cfg (``path``; None: there is none), its ``conf.d`` and the environment.

    Relative paths in a file are relative to the file's folder, those in the environment to the current one.

    Raises:
        SettingsError: with every mistake, each as ``config.cfg:12: [server] port: what is wrong``.
    """
    texts = ConfigTexts(path) if path else None
    problems = _unknown_environment(os.environ)
    values: dict[str, dict[str, Any]] = {section: {} for section in Settings.model_fields}
    values |= _values(texts) if texts else {}
    for section, key, value in _environment_values(os.environ):
        values.setdefault(section, {})[key] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as invalid:
        raise SettingsError(problems + [_problem(error, texts) for error in invalid.errors()]) from None
    if problems:
        raise SettingsError(problems)
    auth = settings.auth
    trust(Trust(auth.tls_ca, auth.tls_client_cert, auth.tls_client_key))
    return settings


def origins(path: Path | None) -> dict[tuple[str, str], str]:
    """Where each setting comes from, by section and key; those that have their default are left out."""
    found: dict[tuple[str, str], str] = {}
    if path:
        texts = ConfigTexts(path)
        found = {(section, key): str(texts.where(section, key)) for section, key, _, _ in texts.values()}
    of_environment = {(section, key): _variable(section, key) for section, key, _ in _environment_values(os.environ)}
    return found | of_environment


def _variable(section: str, key: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{section}__{key}".upper()


def _values(texts: ConfigTexts) -> dict[str, dict[str, Any]]:
    """The sections of the files, with relative paths made absolute."""
    values: dict[str, dict[str, Any]] = {name: {} for name in texts.sections()}
    for section, key, value, folder in texts.values():
        is_path = value and key in _path_keys(section)
        values[section][key] = folder / os.path.expanduser(value) if is_path else value
    return values


def _path_keys(section_name: str) -> set[str]:
    section = Settings.model_fields.get(section_name)
    if section is None or section.annotation is None:
        return set()
    fields: Mapping[str, Any] = section.annotation.model_fields
    return {key for key, field in fields.items() if field.annotation in (Path, Path | None, AnyPath | None)}


def _environment_values(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of each variable that sets one."""
    for name, value in environment.items():
        section, separator, key = name.lower().removeprefix(ENVIRONMENT_PREFIX.lower()).partition("__")
        if name.upper().startswith(ENVIRONMENT_PREFIX) and separator and section in Settings.model_fields:
            yield section, key, value


def _unknown_environment(environment: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(environment):
        section, separator, _ = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or name in (CONFIG_VARIABLE, SERVER_VARIABLE):
            continue
        if section not in Settings.model_fields:
            problems.append(f"{name}: no section [{section}]; the sections are {', '.join(Settings.model_fields)}")
        elif not separator:
            problems.append(f"{name}: names no key; write {name}__KEY")
    return problems


def _problem(error: Any, texts: ConfigTexts | None) -> str:
    section, key = ([str(part) for part in error["loc"]] + ["", ""])[:2]
    variable = _variable(section, key)
    if key and variable in (name.upper() for name in os.environ):
        where = variable
    elif texts is not None:
        where = texts.where(section, key) or str(texts.path)
    else:
        where = "settings"
    if error["type"] == "extra_forbidden":
        known = _known_names(section if key else None)
        message = f"unknown {'key' if key else 'section'}; known are {', '.join(known)}"
    else:
        message = mistake(error)
    return f"{where}: [{section}]{' ' + key if key else ''}: {message}"


def _known_names(section_name: str | None) -> list[str]:
    if section_name is None:
        return list(Settings.model_fields)
    annotation = Settings.model_fields[section_name].annotation
    return list(annotation.model_fields) if annotation else []
