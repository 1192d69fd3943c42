"""Bodies of jobs and trials."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from service.problems import ProblemDocument
from service.specs.base import JsonObject, Spec
from service.specs.datasets import Warning
from service.specs.diagnosis import Diagnosis
from service.specs.jobs import JobSpec
from service.store.tables import JobRow, TrialRow
from service.times import Timestamp


class Progress(BaseModel):
    """How far a job is over all its trials, the untuned trial 0 among them.

    `fraction` runs from 0 to 1. `trials_total` becomes the number that were made when the job ends.
    `estimated_seconds_left` supposes that no trial ends early unless trials before have.
    """

    trials_finished: int
    trials_total: int
    epoch: int
    epochs: int
    fraction: float
    estimated_seconds_left: float | None


class JobRead(BaseModel):
    """A training request; `spec` has every default resolved."""

    id: str
    name: str | None
    metadata: dict[str, str]
    state: str
    dataset_id: str | None
    spec: JobSpec
    warnings: list[Warning]
    progress: Progress
    best_trial: int | None
    model_id: str | None
    metrics: JsonObject | None
    diagnosis: Diagnosis | None
    problem: ProblemDocument | None
    device: str | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: JobRow, progress: Progress) -> "JobRead":
        """The row as shown."""
        special = {"metadata", "progress", "spec"}
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name not in special}
        spec = JobSpec.model_validate(row.spec)
        return cls.model_validate({**fields, "metadata": row.labels, "progress": progress, "spec": spec})


class JobList(BaseModel):
    """A page of jobs."""

    data: list[JobRead]
    next_cursor: str | None


class SampledTrial(BaseModel):
    """A trial that would run."""

    number: int
    params: JsonObject


class CostEstimate(BaseModel):
    """What a job costs at most; pixels of images, tokens of texts, each as often as it is passed through."""

    trials: int
    epochs: int
    train_samples: int
    sample_passes: int
    pixels: int
    tokens: int


class JobPlan(BaseModel):
    """What a job would do; nothing is accepted."""

    spec: JobSpec
    trials: int
    first_trials: list[SampledTrial]
    warnings: list[Warning]
    cost: CostEstimate


class EpochRead(BaseModel):
    """One pass over the train split (of boosted trees, one round) and the evaluation after it.

    Losses are cross-entropies in nats, or mean squared errors where values are learned; so are rmse, mae and r2, which
    classes have not, in the units of the target.
    """

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    train_accuracy: float | None
    validation_accuracy: float | None
    validation_rmse: float | None = None
    validation_mae: float | None = None
    validation_r2: float | None = None
    learning_rate: float
    seconds: float


class TrialMetrics(BaseModel):
    """Figures at the best epoch."""

    train: JsonObject | None = None
    validation: JsonObject | None = None


class TrialRead(BaseModel):
    """One set of hyperparameters being fitted."""

    number: int
    state: str
    params: JsonObject
    attempt: int
    metrics: TrialMetrics
    effective: JsonObject | None = Field(
        description="What a finished trial trained with where the spec may say `auto` or null: training.learning_rate, "
        "training.backbone_learning_rate, training.batch_size."
    )
    best_epoch: int | None
    stopped_by: str | None
    problem: ProblemDocument | None
    device: str | None
    peak_memory_bytes: int | None = Field(
        description="The most that a finished trial has held of its GPU's memory, of the first of several; on a CPU "
        "what its process has held, mapped files included."
    )
    micro_batch_size: int | None = Field(
        description="The most samples that went through the network at once on each device: fewer than a batch where "
        "memory did not suffice for it, as the events say, or where several devices share it. Null before the end, and "
        "where no network is trained."
    )
    epochs: list[EpochRead]
    started_at: Timestamp | None
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: TrialRow, epochs: list[dict[str, Any]]) -> "TrialRead":
        """The row as shown."""
        special = {"metrics", "epochs", "effective"}
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name not in special}
        metrics = {split: (row.metrics or {}).get(split) for split in ("train", "validation")}
        training = (row.config or {}).get("training")
        effective = {f"training.{name}": value for name, value in training.items()} if training else None
        return cls.model_validate({**fields, "metrics": metrics, "epochs": epochs, "effective": effective})


class TrialList(BaseModel):
    """A page of a job's trials by number."""

    data: list[TrialRead]
    next_cursor: str | None


class Rerun(Spec):
    """A job like another: `apply` names remedies of its diagnosis, `override` is a merge patch (RFC 7396)."""

    apply: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=16)
    override: JsonObject = Field(default_factory=dict)
