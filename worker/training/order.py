"""What a trial is asked to do, what it reports on the way, and what it hands back. Torch-free, picklable."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from service.specs.datasets import Manifest
from service.specs.jobs import JobSpec
from service.specs.tables import TableManifest
from service.specs.texts import TextManifest
from service.specs.tuning import Monitor
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache

StoppedBy = Literal["early_stopping", "epochs", "limit"]
EventType = Literal["warning", "log"]
PICTURE_OF = {
    "curves": "learning_curves",
    "confusion_matrix": "confusion_matrix",
    "calibration": "calibration",
    "predicted_against_actual": "predicted_against_actual",
    "residuals": "residuals",
}
"""Document of a trial, by file stem → the picture of it."""


@dataclass(frozen=True)
class TrialOrder:
    """Everything that a trial needs to know.

    Attributes:
        spec: resolved: weights, split strategy and image size are set; learning rate and batch size may be `auto`.
        archive: the dataset's zip of images; of tables and texts `samples.parquet`.
        manifest: its samples or columns; class order is the order of the outputs.
        dataset_digest: names the dataset in caches; equal digests mean equal archives.
        scratch: the trial's own folder, kept between attempts: checkpoints and output files.
        cache: shared by trials on this machine: decoded images and what frozen parts make of them.
        device: `cpu` or `cuda:<index>`.
        threads: for torch's operators, decoding, and loading on CUDA.
        neighbours: how many trials, or ranks of them, may run at once beside each other, this one included.
        to_beat: the best of the job's other trials; a trial that is worse writes nothing.
        upload_digest: by which the dataset's owner knows it; None where `archive` is the upload.
        draws: whether the trial draws its own pictures; those of a search are drawn once, of its winner.
        micro_batch_size: the most samples of one pass, where memory is known to end.
        rank, ranks: which of how many processes this one is, that train the network together, one on each device.
        rendezvous: the file in which they meet, which none of an earlier attempt has used.
    """

    spec: JobSpec
    archive: Path
    manifest: Manifest | TableManifest | TextManifest
    dataset_digest: str
    scratch: Path
    cache: DiskCache
    sources: WeightSources
    device: str = "cpu"
    threads: int = 1
    neighbours: int = 1
    to_beat: "ToBeat | None" = None
    upload_digest: str | None = None
    draws: bool = True
    micro_batch_size: int | None = None
    rank: int = 0
    ranks: int = 1
    rendezvous: Path | None = None


class PassesTooLarge(Exception):
    """Memory has run out on one of several ranks; all have to begin again with smaller passes."""

    def __init__(self, reason: str, micro_batch_size: int) -> None:
        super().__init__(reason)
        self.micro_batch_size = micro_batch_size


@dataclass(frozen=True)
class ToBeat:
    """A metric that epochs report, and its best value so far."""

    metric: Monitor
    value: float


@dataclass(frozen=True)
class EpochRecord:
    """One epoch and the evaluation after it. Losses are plain cross entropy in nats, or mean squared errors.

    Scores of classes are None where values are learned, and the other way round; errors are in the target's units.

    Attributes:
        epoch: from 1.
        train_loss, train_accuracy: running means over the epoch's batches, augmented and with dropout.
        learning_rate: of the head at the epoch's first step.
        seconds: training and evaluation.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float | None
    validation_accuracy: float | None
    validation_balanced_accuracy: float | None
    validation_macro_f1: float | None
    learning_rate: float
    seconds: float
    validation_rmse: float | None = None
    validation_mae: float | None = None
    validation_r2: float | None = None

    @property
    def train_rmse(self) -> float:
        """Where values are learned."""
        return math.sqrt(self.train_loss)


class TrialSink(Protocol):
    """Where a trial reports to, and where it hears that it should stop."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is finished and its checkpoint is written."""

    def progress(self, epoch: int, fraction: float) -> None:
        """Epoch `epoch` (from 1) is under way; `fraction` of the whole trial (0..1) is done. About once a second."""

    def event(self, type: EventType, message: str, data: dict[str, object]) -> None:
        """Something worth telling the job's owner."""

    def stop_requested(self) -> bool:
        """Whether to give up now; asked at every batch, so it must be cheap."""


@dataclass(frozen=True)
class OutputFile:
    """A file of the finished trial, in its scratch folder."""

    name: str
    media_type: str
    path: Path


@dataclass(frozen=True)
class TrialOutcome:
    """A finished trial.

    Attributes:
        metrics: JSON-safe scores of the best epoch on `train`, `validation`, `test`, and of the majority class
            (`baseline`, on the test split); None where a score is undefined. Of `test` also `intervals` (95 %, by
            bootstrap) and scores `uncalibrated`; beside the splits the `temperature` of the probabilities.
        classes: in the order of the network's outputs.
        trained_with: values that were used, of the fields of the spec's `training` that matter; those that the spec
            may leave open among them.
        files: none of a trial that was beaten.
        device: for people, such as "CPU, 2 threads".
        peak_memory_bytes: of the GPU's memory; on a CPU of the process's, mapped files included. Of rank 0.
        micro_batch_size: the most samples of a pass on one device; None where no network is trained.
    """

    best_epoch: int
    stopped_by: StoppedBy
    metrics: dict[str, object]
    classes: list[str]
    device: str
    trained_with: dict[str, object]
    files: list[OutputFile]
    peak_memory_bytes: int | None = None
    micro_batch_size: int | None = None
