"""Every table. Times are seconds since 1970 on the database's clock; JSON columns hold what the API shows."""

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.specs.datasets import Modality
from service.specs.exports import ExportFormat
from service.store.bases import Json, Labelled, Leased, Owned, Row
from service.store.engine import now_seconds


def only_where(condition: str) -> dict[str, Any]:
    """An index of some rows only, as both databases have it."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class ProjectRow(Row):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    created_at: Mapped[float] = mapped_column(insert_default=now_seconds())


class KeyRow(Owned, Row):
    """An API key; only the digest of its secret is kept. `replaces` is the key that it was rotated from."""

    __tablename__ = "api_keys"
    name: Mapped[str | None] = mapped_column(String(120))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    replaces: Mapped[str | None] = mapped_column(String(64))


class DatasetRow(Owned, Labelled, Leased, Row):
    __tablename__ = "datasets"
    modality: Mapped[Modality] = mapped_column(String(16))
    options: Mapped[Json] = mapped_column(insert_default=dict)
    digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int]
    ignored_files: Mapped[int] = mapped_column(insert_default=0)
    profile: Mapped[Json | None]
    warnings: Mapped[list[Json]] = mapped_column(insert_default=list)


class JobRow(Owned, Labelled, Row):
    """One accepted training request.

    `events_seq` numbers its events. `run_seconds` is how long it has run, up to `running_since` if that is set.
    Until `pursued_until` one worker finds out what the next step of the search needs to know.
    """

    __tablename__ = "jobs"
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"), index=True)
    dataset_digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    spec: Mapped[Json]
    warnings: Mapped[list[Json]] = mapped_column(insert_default=list)
    problem: Mapped[Json | None]
    metrics: Mapped[Json | None]
    diagnosis: Mapped[Json | None]
    best_trial: Mapped[int | None]
    model_id: Mapped[str | None] = mapped_column(String(64))
    device: Mapped[str | None] = mapped_column(String(120))
    trials_total: Mapped[int] = mapped_column(insert_default=1)
    events_seq: Mapped[int] = mapped_column(insert_default=0)
    run_seconds: Mapped[float] = mapped_column(insert_default=0.0)
    running_since: Mapped[float | None]
    pursued_until: Mapped[float | None]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class TrialRow(Leased, Row):
    """One set of hyperparameters. `notes` is what its sampler wants to know of it later."""

    __tablename__ = "trials"
    __table_args__ = (UniqueConstraint("job_id", "number"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    params: Mapped[Json] = mapped_column(insert_default=dict)
    notes: Mapped[Json | None]
    metrics: Mapped[Json | None]
    best_epoch: Mapped[int | None]
    stopped_by: Mapped[str | None] = mapped_column(String(20))
    device: Mapped[str | None] = mapped_column(String(120))
    peak_memory_bytes: Mapped[int | None]
    micro_batch_size: Mapped[int | None]
    config: Mapped[Json | None]
    seconds: Mapped[float] = mapped_column(insert_default=0.0)
    fraction: Mapped[float] = mapped_column(insert_default=0.0)


class EpochRow(Row):
    __tablename__ = "epochs"
    trial_id: Mapped[str] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[Json]


class EventRow(Row):
    __tablename__ = "events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float] = mapped_column(insert_default=now_seconds())
    type: Mapped[str] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(16))
    message: Mapped[str]
    data: Mapped[Json] = mapped_column(insert_default=dict)


class ModelRow(Owned, Labelled, Row):
    """One published result per job at most: `backbone` of images and texts, `estimator` of tables.

    Job and dataset may be gone by now.
    """

    __tablename__ = "models"
    job_id: Mapped[str] = mapped_column(String(64), unique=True)
    dataset_id: Mapped[str | None] = mapped_column(String(64), index=True)
    problem: Mapped[str] = mapped_column(String(32))
    backbone: Mapped[str | None] = mapped_column(String(100))
    estimator: Mapped[Json | None]
    classes: Mapped[list[str]]
    input: Mapped[Json]
    metrics: Mapped[Json]
    digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int]


class AliasRow(Row):
    __tablename__ = "aliases"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    updated_at: Mapped[float] = mapped_column(insert_default=now_seconds())


class ArtifactRow(Row):
    """Bytes with a digest. Without an owner they are half-written or abandoned, and swept after a day."""

    __tablename__ = "artifacts"
    __table_args__ = (
        Index("ix_artifacts_owner", "owner_id", "name", unique=True),
        Index("ix_artifacts_unowned", "created_at", **only_where("owner_id IS NULL")),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(insert_default=0)
    sha256: Mapped[str] = mapped_column(String(64), insert_default="")
    location: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[float] = mapped_column(insert_default=now_seconds())


class ChunkRow(Row):
    __tablename__ = "artifact_chunks"
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ServingRow(Owned, Leased):
    """What predictions and explanations share: inputs are artifacts named `inputs/<index>`, or samples of a dataset."""

    model_id: Mapped[str] = mapped_column(String(64), index=True)
    dataset_id: Mapped[str | None] = mapped_column(String(64))
    spec: Mapped[Json]
    inputs: Mapped[list[Json]]
    result: Mapped[Json | None]
    compute_seconds: Mapped[float | None]


class PredictionRow(ServingRow, Row):
    __tablename__ = "predictions"


class ExplanationRow(ServingRow, Row):
    __tablename__ = "explanations"


class ExportRow(Owned, Leased, Row):
    """A model in one format of other runtimes; the file is an artifact of the model."""

    __tablename__ = "exports"
    __table_args__ = (UniqueConstraint("model_id", "format"),)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    format: Mapped[ExportFormat] = mapped_column(String(16))


class IdempotencyRow(Row):
    """The first answer to a request; without `status` it is still in flight. `location` is what it has accepted."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_in_flight", "created_at", **only_where("status IS NULL AND location IS NULL")),
    )
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    route: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    location: Mapped[str | None] = mapped_column(String(200), index=True)
    status: Mapped[int | None]
    headers: Mapped[Json | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[float] = mapped_column(insert_default=now_seconds(), index=True)


class WorkerRow(Row):
    """A worker process, its queues, the weights it can load, and its metrics in Prometheus' text format.

    `devices` is how many one trial may have; null of those that do not train.
    """

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    queues: Mapped[list[str]]
    weights: Mapped[Json] = mapped_column(insert_default=dict)
    devices: Mapped[int | None]
    figures: Mapped[str | None] = mapped_column(Text)
    seen_at: Mapped[float] = mapped_column(insert_default=now_seconds(), index=True)


LISTED = ("api_keys", "datasets", "explanations", "jobs", "models", "predictions")
LISTED_BY_STATE = ("explanations", "jobs", "predictions")
QUEUED = ("datasets", "explanations", "exports", "predictions", "trials")
OF_DATASETS = ("explanations", "predictions")
"""Pages of a project, and queues, are read in the order of an index, whatever else the tables hold; what was asked of a
dataset's samples is found by one.
"""
for _name, _table in Row.metadata.tables.items():
    if _name in LISTED:
        Index(f"ix_{_name}_listed", _table.c.project_id, _table.c.created_at, _table.c.id)
    if _name in LISTED_BY_STATE:
        Index(f"ix_{_name}_by_state", _table.c.project_id, _table.c.state, _table.c.created_at, _table.c.id)
    if _name in QUEUED:
        Index(f"ix_{_name}_queue", _table.c.state, _table.c.queued_at)
    if _name in OF_DATASETS:
        Index(f"ix_{_name}_dataset_id", _table.c.dataset_id, **only_where("dataset_id IS NOT NULL"))
