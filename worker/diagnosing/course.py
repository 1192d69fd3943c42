"""What is known of a trial once it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.specs.jobs import JobSpec
from service.specs.tuning import Choice


@dataclass(frozen=True)
class Scores:
    """One split under the model of the best epoch, in evaluation mode, without augmentation.

    Attributes:
        accuracy: None where values are learned.
        samples: how many were scored; of a large train split that is a part.
        uninformed: of values, what their own mean costs in this very split, which is how far they spread there. None
            leaves that to the baseline.
    """

    loss: float
    accuracy: float | None
    samples: int
    uninformed: float | None = None

    @classmethod
    def of(cls, metrics: Mapping[str, Any] | None) -> "Scores | None":
        """From a trial's metrics of one split; None where they lack a figure."""
        found = metrics or {}
        loss, accuracy, samples = (found.get(name) for name in ("loss", "accuracy", "samples"))
        if loss is None or samples is None or (accuracy is None and "accuracy" in found):
            return None
        r2 = found.get("r2")
        uninformed = float(loss) / (1.0 - r2) if r2 is not None and r2 < 1.0 and loss > 0 else None
        return cls(float(loss), None if accuracy is None else float(accuracy), int(samples), uninformed)


@dataclass(frozen=True)
class Epoch:
    """One epoch: on train the running mean over augmented batches with dropout, on validation as it is."""

    train_loss: float
    validation_loss: float
    validation_accuracy: float | None
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
        classes: how many; 0 where values are learned.
        best_epoch: from 1; its weights were restored and scored.
        parameters: of the backbone, where known.
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
    def is_regression(self) -> bool:
        """Whether values are learned."""
        return self.spec.problem == "tabular_regression"

    @property
    def estimator(self) -> str | None:
        """Its kind; None where a backbone is trained."""
        return self.spec.estimator.kind if self.spec.estimator else None

    @property
    def is_network(self) -> bool:
        """Whether gradient steps over batches train it."""
        return self.estimator in (None, "mlp")

    @property
    def is_fitted_at_once(self) -> bool:
        """Whether one epoch is all there is to it."""
        return self.estimator in ("linear", "random_forest")

    @property
    def inputs(self) -> str:
        """What the samples are called."""
        if self.estimator is not None:
            return "rows"
        return "texts" if self.spec.problem == "text_classification" else "pictures"

    @property
    def learner(self) -> str:
        """What the trained thing is called."""
        return "network" if self.is_network else "model"

    @property
    def learning_rate(self) -> float | None:
        """Of the head: as asked for, or the highest one that was used where that was left open."""
        asked = self.spec.training.learning_rate
        if isinstance(asked, int | float):
            return asked
        return max((epoch.learning_rate for epoch in self.epochs), default=None)
