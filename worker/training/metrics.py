"""Scores of a classifier from its logits. Defined as scikit-learn defines them, None where undefined."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor

from worker.backbones.trained import calibrated

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class QuickScores:
    """What an epoch reports."""

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float


def confusion_matrix(targets: Integers, predicted: Integers, classes: int) -> Integers:
    """[c, c] counts: rows are the true classes, columns the predicted ones."""
    return np.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def quick_scores(logits: Tensor, targets: Tensor) -> QuickScores:
    """Scores of [n, c] logits against [n] targets that cost next to nothing."""
    loss = torch.nn.functional.cross_entropy(logits.double(), targets)
    matrix = confusion_matrix(targets.numpy(), logits.argmax(1).numpy(), logits.shape[1])
    return QuickScores(float(loss), _accuracy(matrix), _balanced_accuracy(matrix), _macro_f1(matrix))


def scores(logits: Tensor, targets: Tensor, classes: list[str], *, temperature: float = 1.0) -> dict[str, object]:
    """Everything that is reported of a split, JSON-safe.

    `loss` is the cross entropy that training and early stopping see; all that is about probabilities (`log_loss`,
    `roc_auc`, `expected_calibration_error`) is about calibrated ones.

    Args:
        logits: [n, c] float32.
        targets: [n] int64.
        classes: names, in the order of the logits.
        temperature: what calibrates the probabilities.
    """
    probabilities = calibrated(logits.double(), temperature).numpy()
    predicted = logits.argmax(1).numpy()
    result = probability_scores(probabilities, predicted, targets.numpy(), classes)
    return {"loss": quick_scores(logits, targets).loss, **result}


def majority_scores(train_targets: Integers, targets: Integers, classes: list[str]) -> dict[str, object]:
    """Scores of always saying the most frequent class of train, with train's class shares as probabilities."""
    shares = np.bincount(train_targets, minlength=len(classes)) / len(train_targets)
    probabilities = np.tile(shares, (len(targets), 1))
    predicted = np.full(len(targets), int(shares.argmax()))
    result = probability_scores(probabilities, predicted, targets, classes)
    return {"loss": result["log_loss"], **result}


def probability_scores(
    probabilities: Floats, predicted: Integers, targets: Integers, classes: list[str]
) -> dict[str, object]:
    """Scores of [n, c] probabilities and [n] predictions against [n] targets."""
    matrix = confusion_matrix(targets, predicted, len(classes))
    return {
        "samples": len(targets),
        "accuracy": _accuracy(matrix),
        "balanced_accuracy": _balanced_accuracy(matrix),
        "macro_f1": _macro_f1(matrix),
        "roc_auc": _roc_auc(probabilities, targets),
        "log_loss": float(log_loss(targets, probabilities, labels=list(range(len(classes))))),
        "expected_calibration_error": expected_calibration_error(probabilities.max(1), predicted == targets),
        "confusion_matrix": matrix.tolist(),
        "per_class": _per_class(matrix, classes),
    }


def expected_calibration_error(confidences: Floats, correct: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins of confidence (Guo et al. 2017, eq. 3)."""
    bins, count = confidence_bins(confidences)
    gaps = np.bincount(bins, weights=confidences - correct, minlength=count)
    return float(np.abs(gaps).sum() / len(confidences))


def confidence_bins(confidences: Floats) -> tuple[Integers, int]:
    """The bin of each confidence, from 0, and the number of bins; a bin holds its lower bound, the last one also 1."""
    return np.minimum((confidences * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1), CALIBRATION_BINS


def _accuracy(matrix: Integers) -> float:
    return float(np.trace(matrix) / matrix.sum())


def _balanced_accuracy(matrix: Integers) -> float:
    """Mean recall of the classes that occur."""
    support = matrix.sum(1)
    occurs = support > 0
    return float((np.diag(matrix)[occurs] / support[occurs]).mean())


def _macro_f1(matrix: Integers) -> float:
    """Mean F1 of the classes that occur or are predicted."""
    sizes = matrix.sum(0) + matrix.sum(1)
    counts = sizes > 0
    return float((2 * np.diag(matrix)[counts] / sizes[counts]).mean())


def _roc_auc(probabilities: Floats, targets: Integers) -> float | None:
    """One against the rest, mean over classes; None if a class does not occur."""
    classes = probabilities.shape[1]
    if len(np.unique(targets)) < classes:
        return None
    given = probabilities[:, 1] if classes == 2 else probabilities / probabilities.sum(1, keepdims=True)
    return float(roc_auc_score(targets, given, multi_class="ovr", labels=None if classes == 2 else range(classes)))


def _per_class(matrix: Integers, classes: list[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for index, name in enumerate(classes):
        hits, support, said = int(matrix[index, index]), int(matrix[index].sum()), int(matrix[:, index].sum())
        precision = hits / said if said else None
        recall = hits / support if support else None
        rows.append({"name": name, "precision": precision, "recall": recall, "support": support})
    return rows
