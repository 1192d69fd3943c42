"""Environment → Settings. Read once, passed in; nothing else looks at the environment."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.logs import Format


class Settings(BaseSettings):
    """All knobs of a process. Durations in seconds, sizes in bytes.

    Attributes:
        data_dir: where SQLite, the filesystem broker, caches, scratch and logs live.
        artifacts_url: `sql:` (chunk rows), `file:///…` or any other fsspec URL.
        cache_bytes: for everything below `cache` together, on each machine; what is in use may exceed it.
        train_slots: devices of one train worker, each for one trial or one rank of it; one per GPU, or 1.
        database_patience_seconds: how long the database, or the storage of artifacts, may be away before a worker stops
            what it is at.
        expiry_sightings_apart_seconds: an expired lease is taken away when it is seen twice, so far apart.
        export_seconds: wall limit of one export.
        memory_limit_bytes: of a trial, an export, or whoever reads a dataset, without mapped files; none: shares of
            what the machine or the container has (`worker.runtime.memory`); 0: no limit.
        scratch_limit_bytes: what one trial, export or validation may keep on the disk while it works.
        rate_requests, rate_window_seconds: an API key's requests to one process; they refill evenly.
        max_streams: event streams that an API key may hold open at one process.
        max_queued_jobs, max_pending_answers, max_project_bytes: what a project may have at once; pending answers are
            predictions and explanations, its bytes those of datasets and models.
        upload_idle_seconds, upload_min_bytes_per_second: a body that comes slower is given up; the rate counts after
            one idle time.
        allowed_hosts: host names that requests may carry; `*` switches the check off.
        log_format: lines for people (`text`), or one JSON object a line (`json`).
    """

    model_config = SettingsConfigDict(env_prefix="TUNELENS_", extra="ignore", populate_by_name=True)

    data_dir: Path = Path("data")
    database_url: str = Field("", validation_alias="DATABASE_URL", repr=False)
    broker_url: str = Field("filesystem://localhost", validation_alias="BROKER_URL", repr=False)
    artifacts_url: str = Field("sql:", validation_alias="ARTIFACTS_URL", repr=False)
    scratch_dir: Path | None = None
    weights_dir: Path | None = None
    weights_downloads: bool = False
    admin_key: str | None = Field(None, repr=False)
    allowed_hosts: str = "localhost,127.0.0.1,[::1],testserver,api"

    log_format: Format = "text"

    max_upload_bytes: int = 2 * 1024**3
    max_json_bytes: int = 1024**2
    upload_idle_seconds: float = 30.0
    upload_min_bytes_per_second: int = 1024
    rate_requests: int = Field(6000, ge=1)
    rate_window_seconds: int = Field(60, ge=1)
    max_streams: int = Field(10, ge=1)
    max_queued_jobs: int = Field(1000, ge=1)
    max_pending_answers: int = Field(256, ge=1)
    max_project_bytes: int = Field(500 * 1024**3, ge=1)

    lease_seconds: float = 30.0
    heartbeat_seconds: float = 5.0
    sweep_seconds: float = 10.0
    expiry_sightings_apart_seconds: float = 15.0
    database_patience_seconds: float = Field(1200.0, gt=0)
    max_attempts: int = 3
    cancel_grace_seconds: float = 5.0
    stall_seconds: float = 900.0
    export_seconds: float = 600.0
    memory_limit_bytes: int | None = Field(None, ge=0)
    scratch_limit_bytes: int = Field(100 * 1024**3, ge=1)
    train_slots: int | None = None
    worker_threads: int | None = None
    cache_bytes: int = Field(20 * 1024**3, ge=0)
    model_cache_bytes: int = 2 * 1024**3

    @model_validator(mode="after")
    def _paths_are_absolute(self) -> Self:
        self.data_dir = self.data_dir.resolve()
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir / 'tunelens.db'}"
        return self

    @property
    def scratch(self) -> Path:
        """Where trials keep checkpoints; share it between machines to resume across them."""
        return self.scratch_dir or self.data_dir / "scratch"

    @property
    def cache(self) -> Path:
        """Rebuildable files: archives, decoded images, features."""
        return self.data_dir / "cache"
