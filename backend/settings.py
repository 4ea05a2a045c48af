"""Settings, read from the environment (`EQUIPOISE_*`) or given on the command line."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "equipoise"


class Settings(BaseSettings):
    """Every setting has a default that serves one person on one machine."""

    model_config = SettingsConfigDict(env_prefix="EQUIPOISE_", extra="ignore")

    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Folder of the embedded database, caches and artefacts."
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
    log_level: str = Field(default="INFO", description="Level of the log: DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(default=False, description="Write the log as JSON lines.")

    def url(self) -> str:
        """The database URL in use."""
        if self.database_url:
            return _with_driver(self.database_url)
        return f"sqlite:///{self.data_dir.expanduser().resolve() / 'equipoise.sqlite'}"

    def cache_dir(self) -> Path:
        """Folder of what can be computed again: calibrated noise, compiled kernels, encoded data."""
        return self.data_dir.expanduser().resolve() / "cache"

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
