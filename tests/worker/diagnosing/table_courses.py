"""Synthetic courses of regressions with known verdicts: the phenomena of `courses`, seen through squared errors."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.specs.diagnosis import Verdict
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from tests.worker.diagnosing import courses
from tests.worker.diagnosing.courses import PATIENCE, SEEDS, Rng, Truth, decay
from worker.diagnosing.course import Course, Epoch, Scores

ESTIMATORS: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp"},
    "gradient_boosting": {"kind": "gradient_boosting"},
    "random_forest": {"kind": "random_forest"},
    "linear": {"kind": "linear"},
}


def fitted_once(rng: Rng, train: tuple[float, float], apart: tuple[float, float]) -> Truth:
    loss = np.array([rng.uniform(*train)])
    return Truth(loss, loss + rng.uniform(*apart), early_stopping=False)


def linear_good(rng: Rng) -> Truth:
    return fitted_once(rng, (0.02, 0.3), (0.0, 0.02))


def linear_too_stiff(rng: Rng) -> Truth:
    return fitted_once(rng, (0.5, 0.8), (0.0, 0.03))


def linear_useless(rng: Rng) -> Truth:
    return fitted_once(rng, (0.98, 1.0), (0.02, 0.05))


def linear_with_too_many_columns(rng: Rng) -> Truth:
    return fitted_once(rng, (0.02, 0.1), (0.5, 0.7))


def forest_good(rng: Rng) -> Truth:
    """A forest remembers its train rows, which says nothing about others."""
    return fitted_once(rng, (0.02, 0.05), (0.1, 0.3))


def forest_overfitting(rng: Rng) -> Truth:
    return fitted_once(rng, (0.05, 0.15), (0.65, 0.72))


def boosting_good(rng: Rng) -> Truth:
    train = decay(60, 1.0, rng.uniform(0.02, 0.1), rng.uniform(4, 8))
    return Truth(train, train + rng.uniform(0.0, 0.03))


def boosting_copies(rng: Rng) -> Truth:
    train = decay(60, 1.0, rng.uniform(0.35, 0.6), rng.uniform(4, 8))
    return Truth(train, train * rng.uniform(0.05, 0.15))


Family = Callable[[Rng], Truth]
FAMILIES: dict[tuple[str, Family], Verdict] = {
    ("mlp", courses.good): "good_fit",
    ("mlp", courses.good_noisy_train): "good_fit",
    ("mlp", courses.good_then_memorising): "good_fit",
    ("mlp", courses.overfitting_capacity): "overfitting",
    ("mlp", courses.overfitting_u_shape): "overfitting",
    ("mlp", courses.overfitting_noise): "overfitting",
    ("mlp", courses.underfitting_capacity): "underfitting",
    ("mlp", courses.undertrained_slow): "undertrained",
    ("mlp", courses.undertrained_by_the_clock): "undertrained",
    ("mlp", courses.diverged_at_once): "diverged",
    ("mlp", courses.diverged_without_overflow): "diverged",
    ("mlp", courses.diverged_late): "diverged",
    ("mlp", courses.unstable_steps): "unstable",
    ("mlp", courses.random_labels_memorised): "not_better_than_baseline",
    ("mlp", courses.nothing_learned): "not_better_than_baseline",
    ("mlp", courses.leaking_copies): "leakage_suspected",
    ("gradient_boosting", boosting_good): "good_fit",
    ("gradient_boosting", boosting_copies): "leakage_suspected",
    ("gradient_boosting", courses.overfitting_capacity): "overfitting",
    ("gradient_boosting", courses.undertrained_slow): "undertrained",
    ("gradient_boosting", courses.random_labels_memorised): "not_better_than_baseline",
    ("random_forest", forest_good): "good_fit",
    ("random_forest", forest_overfitting): "overfitting",
    ("random_forest", linear_useless): "not_better_than_baseline",
    ("linear", linear_good): "good_fit",
    ("linear", linear_too_stiff): "underfitting",
    ("linear", linear_useless): "not_better_than_baseline",
    ("linear", linear_with_too_many_columns): "overfitting",
}


def synthetic_courses() -> Iterator[tuple[str, Verdict, Course]]:
    """Every family with several seeds: its name, the verdict that it was made for, and the course."""
    for number, ((estimator, family), verdict) in enumerate(FAMILIES.items()):
        for seed in range(SEEDS):
            rng = np.random.default_rng([number, seed])
            yield f"{estimator}: {family.__name__}", verdict, observe(family(rng), rng, estimator)


def request(estimator: str, problem: str = "tabular_regression", **changes: Any) -> JobSpec:
    """A resolved spec; `changes` of its estimator go by `estimator_fields`."""
    fields = ESTIMATORS[estimator] | changes.pop("estimator_fields", {})
    asked = {"dataset_id": "ds_x", "problem": problem, "estimator": fields, **changes}
    return resolve(JobSpec.model_validate(asked), DatasetFacts(problems=(problem,), samples=500))  # type: ignore[arg-type]


def observe(truth: Truth, rng: Rng, estimator: str, *, unit: float | None = None) -> Course:
    """What a trial of these true losses reports, in some unit of the target; residuals are normal."""
    uninformed = unit or 10 ** rng.uniform(-8, 8)
    samples = int(rng.choice([100, 200, 600]))
    n_train = 4 * samples
    spread = Spread.drawn(rng, samples)
    validation = uninformed * np.array([spread.of(loss, truth.noise * rng.normal(0, 0.3)) for loss in truth.validation])
    before = np.concatenate([[max(1.0, truth.train[0])], truth.train[:-1]])
    seen = (before + truth.train) / 2 + truth.harder if estimator == "mlp" else truth.train
    running = uninformed * seen * (1 + rng.normal(0, math.sqrt(2 / n_train), len(seen)))
    count, stopped_by, best = len(truth.train), truth.stopped_by, int(validation.argmin()) + 1
    for epoch in range(1, count + 1):
        if truth.early_stopping and epoch - (int(validation[:epoch].argmin()) + 1) >= PATIENCE:
            count, best, stopped_by = epoch, int(validation[:epoch].argmin()) + 1, "early_stopping"
            break
    pairs = zip(running[:count], validation[:count], strict=True)
    epochs = tuple(Epoch(float(train), float(held_out), None, 0.001) for train, held_out in pairs)
    training = {"epochs": max(count, len(truth.train))} if estimator in ("mlp", "gradient_boosting") else {}
    spec = request(estimator, training=training)
    if truth.problem:
        return Course(spec, spec, epochs, 0, problem=truth.problem)
    place = best - 1
    other, train = Spread.drawn(rng, samples), Spread.drawn(rng, n_train)

    def scores(loss: float, seen: Spread, count: int) -> Scores:
        return Scores(float(loss), None, count, float(uninformed * seen.targets))

    return Course(
        spec,
        spec,
        epochs,
        0,
        train=scores(uninformed * train.of(truth.train[place], 0.0), train, n_train),
        validation=scores(validation[place], spread, samples),
        test=scores(uninformed * other.of(truth.validation[place], 0.0), other, samples),
        baseline=Scores(float(uninformed * other.targets), None, samples, float(uninformed * other.targets)),
        best_epoch=best,
        stopped_by=stopped_by,
    )


@dataclass(frozen=True)
class Spread:
    """What chance does to the mean squares of a split: of its targets, and of residuals that share nothing with them.

    What a useless model leaves over are the targets themselves; the better a model, the more its residuals are its
    own.
    """

    targets: float
    residuals: float
    noise: float

    @classmethod
    def drawn(cls, rng: Rng, samples: int) -> "Spread":
        noise = math.sqrt(2 / samples)
        return cls(*(max(0.2, 1 + noise * rng.normal()) for _ in range(2)), noise)

    def of(self, loss: float, tremble: float) -> float:
        """A true loss, as this split shows it."""
        shared = min(1.0, loss) ** 2
        return float(loss * max(0.2, shared * self.targets + (1 - shared) * self.residuals + self.noise * tremble))
