"""Settings, read from the environment (`EQUIPOISE_*`) or given on the command line."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

#: Shortest secret that webhooks are signed with, in characters.
SECRET_LENGTH = 24
#: Settings that no log, error or child process may show.
SECRETS = frozenset({"webhook_urls", "webhook_secret", "smtp_password"})

Words = Annotated[list[str], NoDecode]


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "equipoise"


class Settings(BaseSettings):
    """Every setting has a default that serves one person on one machine."""

    model_config = SettingsConfigDict(env_prefix="EQUIPOISE_", extra="ignore")

    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Folder of the embedded database, caches and artefacts."
    )
    datasets_dir: Path | None = Field(
        default=None,
        description="Folder of the data sets that you provide, a folder each; unset means datasets in the data folder.",
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of a shared Postgres; unset means SQLite in the data folder."
    )
    host: str = Field(default="127.0.0.1", description="Address the server binds to.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the server binds to; 0 picks a free one.")
    allowed_hosts: list[str] = Field(
        default_factory=list, description="Host names accepted beside loopback in Host and Origin headers."
    )
    max_runs_per_job: int = Field(default=5000, ge=1, description="Largest number of runs that one job may expand to.")
    max_body_bytes: int = Field(default=1_000_000, ge=1000, description="Largest request body, in bytes.")
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="How often a worker says that it is alive.")
    worker_timeout_seconds: float = Field(
        default=45.0, gt=0, description="A worker not heard of for this long is presumed gone and its jobs resumed."
    )
    max_attempts: int = Field(default=5, ge=1, description="How often a job is tried before it is failed.")
    checkpoint_seconds: float = Field(
        default=5.0, gt=0, description="How often a run in training keeps what it needs to go on after a crash."
    )
    poll_seconds: float = Field(default=0.2, gt=0, description="How often queue, cancel flag and events are polled.")
    public_url: str | None = Field(
        default=None, description="Address of the page as people reach it, for links in webhooks and mail."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="What webhooks are signed with: 24 characters or more; needed with any webhook."
    )
    webhook_urls: Words = Field(
        default_factory=list, description="Where every notification is sent, separated by spaces."
    )
    smtp_host: str | None = Field(default=None, description="Mail server; without one no mail is sent.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection to the mail server is encrypted: starttls, tls or none."
    )
    smtp_user: str | None = Field(default=None, description="Name to sign in to the mail server with.")
    smtp_password: SecretStr | None = Field(default=None, description="Password to sign in with.")
    smtp_password_file: Path | None = Field(
        default=None, description="File that holds the password instead, such as a mounted secret."
    )
    smtp_from: str | None = Field(
        default=None, validate_default=True, description="Address that mail comes from; needed with a mail server."
    )
    smtp_domains: Words = Field(
        default_factory=list, description="Domains that mail may go to, separated by spaces; none means any."
    )
    delivery_attempts: int = Field(
        default=12, ge=1, le=50, description="How often a webhook or mail is tried before it is given up."
    )
    keep_notices_days: float = Field(
        default=180.0, ge=0, description="How many days notifications and their deliveries are kept; 0: for ever."
    )
    keep_links_days: float = Field(
        default=1826.0, ge=0, description="How many days short links are kept (five years); 0: for ever."
    )
    log_level: str = Field(default="INFO", description="Level of the log: DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(default=False, description="Write the log as JSON lines.")

    @field_validator("webhook_urls", "smtp_domains", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    @field_validator("webhook_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SECRET_LENGTH:
            raise ValueError(f"should have {SECRET_LENGTH} characters or more")
        return value

    @field_validator("webhook_urls")
    @classmethod
    def _reachable(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError("should be http or https addresses without a user name, separated by spaces")
        # A secret that is wrong itself has its own message.
        if value and "webhook_secret" in info.data and info.data["webhook_secret"] is None:
            raise ValueError("needs EQUIPOISE_WEBHOOK_SECRET beside it, which every webhook is signed with")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("should be an http or https address without query, such as https://equipoise.example.org")
        return value.rstrip("/")

    @field_validator("smtp_from")
    @classmethod
    def _sender(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("smtp_host"):
            raise ValueError("is needed with EQUIPOISE_SMTP_HOST")
        if value is not None and (value.count("@") != 1 or any(c.isspace() or c in "<>,;" for c in value)):
            raise ValueError("should be a plain mail address, such as equipoise@example.org")
        return value

    def mail_password(self) -> str | None:
        """The password of the mail server, from the environment or its file. Raises `OSError` for one not readable."""
        if self.smtp_password is not None:
            return self.smtp_password.get_secret_value()
        return self.smtp_password_file.read_text(encoding="utf-8").strip() if self.smtp_password_file else None

    def url(self) -> str:
        """The database URL in use."""
        if self.database_url:
            return _with_driver(self.database_url)
        return f"sqlite:///{self.data_dir.expanduser().resolve() / 'equipoise.sqlite'}"

    def cache_dir(self) -> Path:
        """Folder of what can be computed again: calibrated noise, compiled kernels, encoded data."""
        return self.data_dir.expanduser().resolve() / "cache"

    def datasets(self) -> Path:
        """Folder of the data sets that people provide, one folder each."""
        folder = self.data_dir / "datasets" if self.datasets_dir is None else self.datasets_dir
        return folder.expanduser().resolve()

    def embedded(self) -> bool:
        """True with the embedded SQLite database, where one machine does everything."""
        return self.url().startswith("sqlite")


def _with_driver(url: str) -> str:
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url[len(scheme) :]
    return url


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()
