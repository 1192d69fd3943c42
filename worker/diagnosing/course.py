"""What is known of a trial once it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.specs.jobs import JobSpec
from service.specs.tuning import Choice


@dataclass(frozen=True)
class Scores:
    """One split under the network of the best epoch, in evaluation mode, without augmentation.

    Attributes:
        samples: how many were scored; of a large train split that is a part.
    """

    loss: float
    accuracy: float
    samples: int

    @classmethod
    def of(cls, metrics: Mapping[str, Any] | None) -> "Scores | None":
        """From a trial's metrics of one split; None where they lack a figure."""
        figures = [(metrics or {}).get(name) for name in ("loss", "accuracy", "samples")]
        if any(figure is None for figure in figures):
            return None
        loss, accuracy, samples = figures
        return cls(float(loss), float(accuracy), int(samples))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Epoch:
    """One epoch: on train the running mean over augmented batches with dropout, on validation as it is."""

    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Epoch":
        """From an epoch's record; raises `KeyError`."""
        names = ("train_loss", "validation_loss", "validation_accuracy", "learning_rate")
        return cls(*(record[name] for name in names))


@dataclass(frozen=True)
class Course:
    """A trial from its spec to its scores.

    Attributes:
        spec: resolved, as the trial was trained.
        job_spec: resolved, as the job has it; remedies are patches on it. Differs from `spec` in a tuned job.
        params: what the search of a tuned job set for the trial, by path.
        epochs: in order, from the first.
        classes: how many.
        best_epoch: from 1; its weights were restored and scored.
        parameters: of the network, where known.
        dataset_warnings: codes.
        problem: the slug of what ended the trial, if something did.
        pretrained_at_hand: names of the backbones whose pretrained weights a rerun would find.
    """

    spec: JobSpec
    job_spec: JobSpec
    epochs: tuple[Epoch, ...]
    classes: int
    train: Scores | None = None
    validation: Scores | None = None
    test: Scores | None = None
    params: Mapping[str, Choice] = field(default_factory=dict)
    baseline: Scores | None = None
    best_epoch: int | None = None
    stopped_by: str | None = None
    parameters: int | None = None
    dataset_warnings: frozenset[str] = frozenset()
    problem: str | None = None
    pretrained_at_hand: frozenset[str] = frozenset()

    @property
    def learning_rate(self) -> float | None:
        """Of the head: as asked for, or the highest one that was used where that was left open."""
        asked = self.spec.training.learning_rate
        if isinstance(asked, int | float):
            return asked
        return max((epoch.learning_rate for epoch in self.epochs), default=None)
