"""Diagnosis of estimators and of regressions: verdicts by losses, remedies that estimators have."""

import json
from collections import Counter
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from service.specs.diagnosis import Verdict
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch
from service.specs.resolving import DatasetFacts, resolve
from tests.worker.diagnosing import courses
from tests.worker.diagnosing.courses import SEEDS
from tests.worker.diagnosing.table_courses import ESTIMATORS, FAMILIES, observe, request, synthetic_courses
from tests.worker.diagnosing.unending import unending_remedies
from tests.worker.training.orders import run
from tests.worker.training.table_orders import table_order
from worker.diagnosing.course import Course, Epoch, Scores
from worker.diagnosing.diagnosis import diagnose
from worker.diagnosing.measures import Measures, standard_error
from worker.diagnosing.remedies import remedies_for

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
PROBLEMS = ("tabular_regression", "tabular_classification")
EXTREME: dict[str, dict[str, Any]] = {
    "mlp": {"estimator_fields": {"hidden_sizes": [4096, 2], "dropout": 0.9}, "training": {"learning_rate": 50.0}},
    "gradient_boosting": {
        "estimator_fields": {"max_depth": 16, "min_child_weight": 100.0, "l1": 1.0, "l2": 1e4, "min_split_loss": 2.0},
        "training": {"epochs": 1000, "learning_rate": 2.0},
    },
    "random_forest": {"estimator_fields": {"trees": 2000, "max_depth": 1, "l2": 1e3, "min_child_weight": 50.0}},
    "linear": {"estimator_fields": {"l2": 1e6}},
}
SPECS = [
    request(kind, problem, **more) for kind, problem in product(ESTIMATORS, PROBLEMS) for more in ({}, EXTREME[kind])
]


def course_of(spec: JobSpec, *, loss: float = 0.7, rows: int = 400) -> Course:
    """A course with the scores of a model that has learned something."""
    accuracy = None if spec.problem == "tabular_regression" else 0.7
    epochs = tuple(Epoch(loss, loss, accuracy, 0.001) for _ in range(8))
    scores = Scores(loss, accuracy, rows)
    return Course(
        spec, spec, epochs, 0 if accuracy is None else 2, train=scores, validation=scores, test=scores,
        baseline=Scores(1.0, None if accuracy is None else 0.6, rows), best_epoch=8, stopped_by="epochs",
    )  # fmt: skip


def offered(verdict: Verdict, spec: JobSpec) -> dict[str, Any]:
    course = course_of(spec)
    return {remedy.id: remedy.patch for remedy in remedies_for(verdict, course, Measures.of(course))}


def patched(spec: JobSpec, patch: dict[str, Any]) -> JobSpec:
    made = JobSpec.model_validate(merge_patch(spec.model_dump(), patch))
    return resolve(made, DatasetFacts(problems=(made.problem or "tabular_regression",), samples=500))


def test_nine_in_ten_verdicts_are_right_and_no_family_is_missed() -> None:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for family, verdict, course in synthetic_courses():
        total[family] += 1
        right[family] += diagnose(course).verdict == verdict
    assert total.total() == len(FAMILIES) * SEEDS
    assert right.total() >= 0.9 * total.total(), {name: (right[name], total[name]) for name in total}
    assert all(2 * right[name] > total[name] for name in total), right


def test_what_is_said_is_complete_and_knows_no_classes_and_no_pictures() -> None:
    for family, _, course in synthetic_courses():
        diagnosis = diagnose(course)
        text = diagnosis.model_dump_json().lower()
        assert 0.5 <= diagnosis.confidence <= 1.0
        assert diagnosis.evidence, family
        assert not [word for word in ("nan", "commonest class", "picture", "accuracy", "backbone", "labels")
                    if word in text], family  # fmt: skip


def test_units_of_the_target_do_not_matter() -> None:
    families = (courses.good, courses.overfitting_u_shape, courses.unstable_steps, courses.nothing_learned)
    for family in families:
        said = []
        for unit in (1e-9, 1.0, 1e9):
            rng = np.random.default_rng(3)
            diagnosis = diagnose(observe(family(rng), rng, "mlp", unit=unit))
            said.append((diagnosis.verdict, diagnosis.confidence, [remedy.id for remedy in diagnosis.remedies]))
        assert said[0] == said[1] == said[2]


def test_the_error_of_a_mean_squared_error_is_that_of_normal_residuals() -> None:
    """The standard deviation of the mean of n squares, seen over many draws."""
    squares = np.random.default_rng(0).normal(0.0, 3.0, (4000, 50)) ** 2
    assert standard_error(Scores(9.0, None, 50)) == pytest.approx(squares.mean(1).std(), rel=0.05)


@pytest.mark.parametrize(("verdict", "spec"), [*product(VERDICTS, SPECS)])
def test_patches_are_valid_change_something_and_name_no_backbone(verdict: Verdict, spec: JobSpec) -> None:
    for name, patch in offered(verdict, spec).items():
        made = patched(spec, patch)
        assert made != spec, name
        assert "backbone" not in patch
        assert "augmentation" not in patch
        assert made.backbone is None
        if name != "boosted-trees":
            assert made.estimator is not None
            assert spec.estimator is not None
            assert made.estimator.kind == spec.estimator.kind


@pytest.mark.parametrize("spec", SPECS)
def test_a_remedy_leads_on_or_stops(spec: JobSpec) -> None:
    assert unending_remedies(spec, offered, patched) == []


@pytest.mark.parametrize(
    ("kind", "verdict", "first"),
    [
        ("mlp", "overfitting", "more-dropout"),
        ("mlp", "underfitting", "more-units"),
        ("mlp", "diverged", "lower-learning-rate"),
        ("gradient_boosting", "overfitting", "shallower-trees"),
        ("gradient_boosting", "underfitting", "deeper-trees"),
        ("gradient_boosting", "undertrained", "train-longer"),
        ("gradient_boosting", "unstable", "lower-learning-rate"),
        ("random_forest", "overfitting", "shallower-trees"),
        ("random_forest", "underfitting", "deeper-trees"),
        ("linear", "overfitting", "stronger-penalty"),
        ("linear", "underfitting", "boosted-trees"),
        ("linear", "not_better_than_baseline", "boosted-trees"),
    ],
)
def test_the_likeliest_remedy_comes_first(kind: str, verdict: Verdict, first: str) -> None:
    assert next(iter(offered(verdict, request(kind)))) == first


def test_what_networks_alone_have_is_not_offered_to_trees() -> None:
    everything = {name for verdict in VERDICTS for name in offered(verdict, request("gradient_boosting"))}
    assert everything == {"shallower-trees", "deeper-trees", "heavier-leaves", "stronger-penalty", "train-longer",
                          "higher-learning-rate", "lower-learning-rate"}  # fmt: skip
    assert {name for verdict in VERDICTS for name in offered(verdict, request("linear"))} == {
        "stronger-penalty",
        "boosted-trees",
    }


def test_smoothing_is_for_classes() -> None:
    assert "label-smoothing" in offered("overfitting", request("mlp", "tabular_classification"))
    assert "label-smoothing" not in offered("overfitting", request("mlp"))


def test_boosted_trees_get_rounds() -> None:
    made = patched(request("linear"), offered("underfitting", request("linear"))["boosted-trees"])
    assert made.estimator is not None
    assert (made.estimator.kind, made.training.epochs, made.training.learning_rate) == ("gradient_boosting", 300, 0.1)


def test_a_column_that_gives_the_target_away_is_said() -> None:
    warned = {"dataset_warnings": frozenset({"leakage-suspected"})}
    spec = request("gradient_boosting")
    assert diagnose(replace(course_of(spec, loss=0.02), **warned)).verdict == "leakage_suspected"  # type: ignore[arg-type]
    assert diagnose(course_of(spec, loss=0.02)).verdict == "good_fit"
    assert diagnose(replace(course_of(spec, loss=0.7), **warned)).verdict != "leakage_suspected"  # type: ignore[arg-type]


def test_easy_tables_are_not_suspected() -> None:
    """Nearly all right after two rounds is common with tables."""
    course = course_of(request("gradient_boosting", "tabular_classification"), loss=0.02)
    right = Scores(0.02, 0.995, 400)
    epochs = tuple(replace(epoch, validation_accuracy=0.995) for epoch in course.epochs)
    assert diagnose(replace(course, epochs=epochs, train=right, validation=right, test=right)).verdict == "good_fit"


def test_a_regression_that_diverged_before_it_was_scored_is_diagnosed() -> None:
    spec = request("mlp")
    course = Course(spec, spec, (Epoch(1e5, 1e6, None, 0.1),), 0, problem="diverged")
    diagnosis = diagnose(course)
    assert diagnosis.verdict == "diverged"
    assert "0.001" in json.dumps([evidence.comment for evidence in diagnosis.evidence])


REAL: dict[str, tuple[dict[str, Any], Verdict]] = {
    "a mean that hardly moves": (
        {
            "estimator": {"kind": "mlp", "hidden_sizes": [4]},
            "training": {"epochs": 2, "learning_rate": 1e-4},
        },
        "undertrained",
    ),
    "deep trees on few rows": (
        {
            "estimator": {"kind": "gradient_boosting", "max_depth": 12, "column_sample": 1.0, "row_sample": 1.0},
            "training": {"epochs": 60, "learning_rate": 0.5},
            "rows": 80,
        },
        "overfitting",
    ),
    "a stiff linear model": ({"estimator": {"kind": "linear", "l2": 800.0}}, "underfitting"),
    "a linear model that fits": ({"estimator": {"kind": "linear"}, "rows": 600}, "good_fit"),
}


@pytest.mark.parametrize("case", REAL)
def test_real_trials_get_the_verdict_that_they_deserve(case: str, tmp_path: Path) -> None:
    asked, verdict = REAL[case]
    order = table_order(tmp_path, **asked)
    outcome, sink = run(order)
    metrics: dict[str, Any] = outcome.metrics
    course = Course(
        spec=order.spec,
        job_spec=order.spec,
        epochs=tuple(Epoch.of(asdict(record)) for record in sink.epochs),
        classes=0,
        **{name: Scores.of(metrics.get(name)) for name in ("train", "validation", "test", "baseline")},
        best_epoch=outcome.best_epoch,
        stopped_by=outcome.stopped_by,
    )
    assert diagnose(course).verdict == verdict
