"""Scores against scikit-learn and by hand."""

import json

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from worker.training.metrics import expected_calibration_error, majority_scores, quick_scores, scores


def example(classes: int, samples: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, (samples,), generator=generator)
    logits = torch.randn(samples, classes, generator=generator) * 2
    logits[range(samples), targets] += 1
    return logits, targets


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_are_scikit_learns(classes: int) -> None:
    logits, targets = example(classes)
    names = [f"class {index}" for index in range(classes)]
    found = scores(logits, targets, names)
    truth, said, shares = targets.numpy(), logits.argmax(1).numpy(), logits.double().softmax(1).numpy()

    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, said))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(truth, said, average="macro"))
    assert found["log_loss"] == pytest.approx(reference.log_loss(truth, shares))
    assert found["loss"] == pytest.approx(reference.log_loss(truth, shares))
    positive = shares[:, 1] if classes == 2 else shares
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(truth, positive, multi_class="ovr"))
    assert found["confusion_matrix"] == reference.confusion_matrix(truth, said).tolist()
    precision, recall, _, support = reference.precision_recall_fscore_support(truth, said)
    assert found["per_class"] == [
        {"name": name, "precision": pytest.approx(p), "recall": pytest.approx(r), "support": s}
        for name, p, r, s in zip(names, precision, recall, support, strict=True)
    ]


def test_absent_classes_do_not_count() -> None:
    logits, targets = example(4)
    targets = targets % 2
    logits[:, 3] = -100.0
    found = scores(logits, targets, list("abcd"))
    truth, said = targets.numpy(), logits.argmax(1).numpy()

    assert found["balanced_accuracy"] == pytest.approx(
        np.mean([(said[truth == label] == label).mean() for label in (0, 1)])
    )
    assert found["macro_f1"] == pytest.approx(reference.f1_score(truth, said, average="macro"))
    assert found["roc_auc"] is None
    assert found["per_class"][3] == {"name": "d", "precision": None, "recall": None, "support": 0}  # type: ignore[index]
    json.dumps(found, allow_nan=False)


def test_certain_and_wrong_is_finite() -> None:
    found = scores(torch.tensor([[1000.0, 0.0], [0.0, 1000.0]]), torch.tensor([1, 0]), ["a", "b"])
    assert found["loss"] == 1000.0
    json.dumps(found, allow_nan=False)


def test_calibration_error_by_hand() -> None:
    # Two bins of fifteen: confidence 0.95, half right; confidence 0.55, all right.
    confidences = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, False, True, True])
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert expected_calibration_error(np.ones(3), np.ones(3, dtype=bool)) == 0.0


def test_majority_by_hand() -> None:
    found = majority_scores(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0]), ["a", "b"])

    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 3) / 2)
    assert found["roc_auc"] == 0.5
    assert found["loss"] == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)


def test_quick_scores_agree_with_the_full_ones() -> None:
    logits, targets = example(5, samples=60)
    quick, full = quick_scores(logits, targets), scores(logits, targets, list("abcde"))
    assert vars(quick) == {name: full[name] for name in vars(quick)}
