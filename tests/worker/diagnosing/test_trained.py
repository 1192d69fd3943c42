"""Real networks trained badly on purpose get the verdict that they deserve, and the first remedy helps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.specs.diagnosis import Diagnosis
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch
from tests.worker.diagnosing.trained import Picture, marked, request, tinted, train
from worker.diagnosing.course import Course
from worker.diagnosing.diagnosis import diagnose

SMALL_CNN = {"name": "small_cnn"}


@dataclass(frozen=True)
class Case:
    """A way to train badly: 200 train samples unless `data` says otherwise."""

    spec: Callable[[], JobSpec]
    picture: Picture
    data: dict[str, Any] = field(default_factory=dict)

    def train(self, folder: Path, spec: JobSpec, seed: int) -> Course:
        spec = spec.model_copy(update={"seed": seed})
        return train(folder, spec, self.picture, **{"samples": 360, "seed": seed, **self.data})


CASES = {
    # 393,000 weights where three means of colour and a bias per class, 12 weights, would do.
    "too much capacity": Case(request, tinted(6)),
    "a probe of random features": Case(
        lambda: request(backbone={**SMALL_CNN, "trainable": "head"}, training={"epochs": 15}), tinted(12)
    ),
    "too little training": Case(
        lambda: request(backbone=SMALL_CNN, training={"epochs": 3, "learning_rate": 1e-4}), tinted(6)
    ),
    "a probe with too little training": Case(
        lambda: request(backbone={**SMALL_CNN, "trainable": "head"}, training={"epochs": 2}), tinted(12)
    ),
    "too much regularisation": Case(
        lambda: request(backbone={"dropout": 0.9}, augmentation={"policy": "strong"},
                        training={"epochs": 15, "weight_decay": 1.0}),
        tinted(16),
    ),
    "learning rate 10": Case(lambda: request(training={"learning_rate": 10.0, "epochs": 12}), tinted(4)),
    "label noise": Case(lambda: request(training={"epochs": 25}), tinted(40), {"wrong": 0.5}),
    "random labels": Case(lambda: request(training={"epochs": 25}), tinted(0)),
    "a mark that gives the class away": Case(lambda: request(training={"epochs": 12}), marked),
}  # fmt: skip


def diagnosed(case: str, folder: Path, seed: int) -> tuple[Course, Diagnosis]:
    course = CASES[case].train(folder, CASES[case].spec(), seed)
    return course, diagnose(course)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("case", "verdicts"),
    [
        ("learning rate 10", {"diverged"}),
        ("label noise", {"overfitting"}),
        ("random labels", {"not_better_than_baseline"}),
        ("a mark that gives the class away", {"leakage_suspected"}),
        ("a probe of random features", {"underfitting", "not_better_than_baseline"}),
        ("a probe with too little training", {"undertrained"}),
    ],
)
def test_bad_training_is_recognised(case: str, verdicts: set[str], seed: int, tmp_path: Path) -> None:
    _, diagnosis = diagnosed(case, tmp_path, seed)
    assert diagnosis.verdict in verdicts, diagnosis.summary
    assert diagnosis.confidence >= 0.5


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ("too much capacity", "overfitting"),
        ("too much regularisation", "underfitting"),
        ("too little training", "undertrained"),
    ],
)
def test_the_first_remedy_improves_the_validation_loss(case: str, verdict: str, seed: int, tmp_path: Path) -> None:
    before, diagnosis = diagnosed(case, tmp_path / "before", seed)
    assert diagnosis.verdict == verdict, diagnosis.summary
    patched = JobSpec.model_validate(merge_patch(before.job_spec.model_dump(), diagnosis.remedies[0].patch))
    after = CASES[case].train(tmp_path / "after", patched, seed)
    assert before.validation is not None
    assert after.validation is not None
    assert after.validation.loss < 0.9 * before.validation.loss


def test_memorised_random_labels_are_told_from_a_network_that_stands_still(tmp_path: Path) -> None:
    _, memorised = diagnosed("random labels", tmp_path / "a", 0)
    share = next(e for e in memorised.evidence if e.measure == "lowest_train_loss_share")
    assert share.value is not None
    assert share.value < 0.1
    assert "labels are right" in memorised.summary
    slow = request(training={"epochs": 6, "learning_rate": 1e-6})
    still = diagnose(CASES["random labels"].train(tmp_path / "b", slow, 0))
    assert still.verdict == "not_better_than_baseline"
    assert still.remedies[0].id == "higher-learning-rate"
