"""Classes: cross entropy in training, calibrated probabilities in the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from service.specs.jobs import TrainingSpec
from worker.backbones.trained import calibrated
from worker.training.bootstrap import Answers, intervals
from worker.training.calibration import choose_temperature, reliability
from worker.training.card_scores import classification_sections
from worker.training.metrics import majority_scores, quick_scores, scores
from worker.training.objective import Answered, Scored
from worker.training.reporting import Reporter


@dataclass(frozen=True)
class Classification:
    """Outputs are logits [n, c], targets class indices [n] int64, or in training shares [n, c].

    Attributes:
        class_weights: [c] float32 on the device, or None.
    """

    classes: list[str]
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    @classmethod
    def of(
        cls, classes: list[str], training: TrainingSpec, train_targets: Tensor, device: torch.device
    ) -> "Classification":
        """As the spec's `training` wants it; `train_targets` are those of the train split."""
        weights = None
        if training.class_weights == "balanced":
            weights = balanced_weights(train_targets, len(classes)).to(device)
        return cls(classes, training.label_smoothing, weights)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy, smoothed and weighted."""
        return cross_entropy(outputs, targets, self.class_weights, label_smoothing=self.label_smoothing)

    def weight(self, targets: Tensor) -> float | Tensor:
        """Samples; with class weights those of their classes, unless targets are shares."""
        if self.class_weights is None or targets.ndim > 1:
            return float(len(targets))
        return self.class_weights[targets].sum()

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """[cross entropy in nats, right answers]; of shares the largest counts as right."""
        truth = targets if targets.ndim == 1 else targets.argmax(1)
        correct = (outputs.argmax(1) == truth).sum()
        return torch.stack([cross_entropy(outputs, targets).double() * len(outputs), correct.double()])

    def evaluation(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """Loss, accuracy, balanced accuracy, macro F1."""
        return {f"validation_{name}": value for name, value in vars(quick_scores(outputs, targets)).items()}

    def score(self, parts: Mapping[str, Answered], train_targets: Tensor, *, seed: int) -> Scored:
        """With probabilities that are calibrated on validation, and intervals of what test gives."""
        validation, test = parts["validation"], parts["test"]
        temperature = choose_temperature(validation.outputs, validation.targets)
        metrics: dict[str, Any] = {
            name: scores(part.outputs, part.targets, self.classes, temperature=temperature.value)
            for name, part in parts.items()
        }
        uncalibrated = scores(test.outputs, test.targets, self.classes)
        metrics["test"] |= {
            "intervals": intervals(_answers(test, temperature.value), seed),
            "uncalibrated": {name: uncalibrated[name] for name in ("expected_calibration_error", "log_loss")},
        }
        metrics["baseline"] = majority_scores(train_targets.numpy(), test.targets.numpy(), self.classes)
        metrics["temperature"] = temperature.value
        confusion = {"split": "test", "classes": self.classes, "matrix": metrics["test"]["confusion_matrix"]}
        documents = {"confusion_matrix": confusion, "calibration": _calibration(test, temperature.value)}
        return Scored(metrics, documents, temperature.value, temperature.reason)

    def warn(self, targets: Mapping[str, Tensor], reporter: Reporter) -> None:
        """Of classes that validation or test lacks."""
        for name in ("validation", "test"):
            absent = len(self.classes) - len(set(targets[name].tolist()))
            if absent:
                text = f"{absent} of {len(self.classes)} classes have no sample in the {name} split."
                reporter.warn(f"{text} Scores over classes leave them out.", split=name, absent=absent)

    def card(self, metrics: Mapping[str, Any], samples: str) -> list[str]:
        """Scores, classes, limits."""
        return classification_sections(metrics, samples)


def balanced_weights(targets: Tensor, classes: int) -> Tensor:
    """[c] float32: n / (c · samples of the class), so that every class weighs the same."""
    counts = torch.bincount(targets, minlength=classes)
    return (len(targets) / (classes * counts)).to(torch.float32)


def _answers(part: Answered, temperature: float) -> Answers:
    logits, targets = part.outputs, part.targets
    return Answers(
        probabilities=calibrated(logits.double(), temperature).numpy(),
        predicted=logits.argmax(1).numpy(),
        targets=targets.numpy(),
        losses=cross_entropy(logits.double(), targets, reduction="none").numpy(),
        log_losses=cross_entropy(logits.double() / temperature, targets, reduction="none").numpy(),
    )


def _calibration(part: Answered, temperature: float) -> dict[str, Any]:
    predicted, truth = part.outputs.argmax(1).numpy(), part.targets.numpy()
    before, after = (calibrated(part.outputs.double(), by).numpy() for by in (1.0, temperature))
    return {
        "split": "test",
        "temperature": temperature,
        "before": reliability(before, predicted, truth),
        "after": reliability(after, predicted, truth),
    }
