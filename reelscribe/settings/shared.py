"""Settings that several services have: listeners, ``[minio]``, ``[auth]`` and ``[log]``."""

import logging
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from reelscribe.contracts.scopes import Scope
from reelscribe.errors import SettingsError
from reelscribe.settings.fields import (
    CommaSeparated,
    EmptyIsNone,
    HostName,
    HostPort,
    Network,
    OptionalPath,
    Origin,
    Port,
    Seconds,
    Url,
)


class Section(BaseModel):
    """One section of config.cfg: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), defer_build=True)


class Listener(Section):
    """Where a service listens, who may call it, and how long it may take to stop."""

    host: str = "127.0.0.1"
    port: Port
    public_url: Annotated[Url | None, EmptyIsNone] = None
    allowed_hosts: Annotated[tuple[HostName, ...], CommaSeparated] = ()
    tls_cert: OptionalPath = None
    tls_key: OptionalPath = None
    tls_client_ca: OptionalPath = None
    grace_seconds: Seconds = 10

    @property
    def base_url(self) -> str:
        """The URL for clients: ``public_url``, or the one by which programs of this host reach it."""
        if self.public_url:
            return self.public_url
        host = "localhost" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"{'https' if self.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this host reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @field_validator("tls_key")
    @classmethod
    def _tls_key_has_its_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if key and info.data.get("tls_cert", key) is None:
            raise ValueError("needs tls_cert as well; without it, the service would speak unencrypted HTTP")
        return key

    @field_validator("tls_client_ca")
    @classmethod
    def _clients_show_certificates_over_tls(cls, authorities: Path | None, info: ValidationInfo) -> Path | None:
        if authorities and info.data.get("tls_cert", authorities) is None:
            raise ValueError("needs tls_cert as well; without TLS, no client can show a certificate")
        return authorities


class MinioSection(Section):
    """``[minio]``: MinIO's S3 API, for objects that cannot be read from the drive; not used without an endpoint."""

    endpoint: HostPort = ""
    access_key: str = ""
    secret_key_file: OptionalPath = None
    secure: bool = True
    public_endpoint: Annotated[Origin | None, EmptyIsNone] = None
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,63}$")

    @model_validator(mode="after")
    def _endpoint_has_its_keys(self) -> Self:
        if self.endpoint and not (self.access_key and self.secret_key_file):
            raise ValueError("endpoint needs access_key and secret_key_file as well")
        if self.public_endpoint and not self.endpoint:
            raise ValueError("public_endpoint needs endpoint as well")
        return self

    def secret_key(self) -> str:
        """The key in ``secret_key_file``.

        Raises:
            SettingsError: the file cannot be read, or holds anything else.
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


class AuthSection(Section):
    """``[auth]``: the bearer tokens of all services, which proxies are believed, and the certificates of clients."""

    token_file: OptionalPath = None
    trusted_proxies: Annotated[tuple[Network, ...], CommaSeparated] = ()
    remote_user_scopes: Annotated[tuple[Scope, ...], CommaSeparated, Field(min_length=1)] = (Scope.SUBMIT,)
    tls_ca: OptionalPath = None
    tls_client_cert: OptionalPath = None
    tls_client_key: OptionalPath = None

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_have_their_tokens(cls, proxies: tuple[Network, ...], info: ValidationInfo) -> tuple[Network, ...]:
        if proxies and info.data.get("token_file", proxies) is None:
            raise ValueError("needs token_file as well; without it, anyone may do everything")
        return proxies

    @field_validator("tls_client_key")
    @classmethod
    def _key_has_its_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if key and info.data.get("tls_client_cert", key) is None:
            raise ValueError("needs tls_client_cert as well: the certificate that it is the key of")
        return key


class LogSection(Section):
    """``[log]``: what the services write on standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def number(self) -> int:
        """The level as ``logging`` has it."""
        return logging.getLevelNamesMapping()[self.level.upper()]
