"""Synthetic courses with known verdicts.

Each family writes down what a phenomenon does to the *true* losses on train and validation over time (decay towards
a floor, a gap, memorising after some epoch, oscillation, …), in parts of the baseline's loss and over wide ranges.
What is then seen of them follows: evaluation on few samples, running means over augmented batches, early stopping,
the best epoch. No family looks at a threshold.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.specs.diagnosis import Verdict
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from worker.diagnosing.course import Course, Epoch, Scores

Curve = np.ndarray[Any, np.dtype[np.float64]]
Rng = np.random.Generator
SEEDS = 6
PATIENCE = 5


@dataclass
class Truth:
    """True losses by epoch, in parts of the baseline's: on train and validation as they are.

    Attributes:
        harder: how much more the running train loss is, by augmentation and dropout.
        noise: of the validation loss; answers that are nearly uniform cost the same whatever the sample.
        spec: changes of the request.
    """

    train: Curve
    validation: Curve
    harder: float = 0.0
    noise: float = 1.0
    early_stopping: bool = True
    stopped_by: str = "epochs"
    spec: dict[str, Any] = field(default_factory=dict)
    warnings: frozenset[str] = frozenset()
    problem: str | None = None


def decay(epochs: int, start: float, floor: float, time: float) -> Curve:
    """From `start` to `floor` with a time constant in epochs."""
    return floor + (start - floor) * np.exp(-np.arange(1, epochs + 1) / time)


def good(rng: Rng) -> Truth:
    train = decay(30, 1.05, rng.uniform(0.01, 0.15), rng.uniform(2, 5))
    return Truth(train, train + rng.uniform(0.0, 0.03))


def good_noisy_train(rng: Rng) -> Truth:
    """Strong augmentation: the running train loss lies above validation."""
    truth = good(rng)
    truth.harder = rng.uniform(0.1, 0.4)
    return truth


def good_then_memorising(rng: Rng) -> Truth:
    """Early stopping brings back the epoch before the gap opens."""
    truth = good(rng)
    late = np.maximum(0, np.arange(30) - rng.integers(14, 20)) / 10
    return Truth(truth.train * np.exp(-3 * late), truth.validation * (1 + rng.uniform(0.5, 2.0) * late))


def overfitting_capacity(rng: Rng) -> Truth:
    """Train falls to nothing, validation stays where it is."""
    train = decay(30, 1.0, 0.001, rng.uniform(1, 4))
    return Truth(train, np.maximum(train, decay(30, 1.0, rng.uniform(0.2, 0.6), rng.uniform(1, 3))))


def overfitting_u_shape(rng: Rng) -> Truth:
    """Validation turns while train goes on."""
    epochs = np.arange(1, 41)
    train = decay(40, 1.1, 0.001, rng.uniform(3, 7))
    apart = rng.uniform(0.01, 0.03) * epochs
    return Truth(train, train + rng.uniform(0.05, 0.15) + apart, early_stopping=bool(rng.integers(2)))


def overfitting_noise(rng: Rng) -> Truth:
    """Wrong labels: little can be learned, and then they are memorised."""
    learned = decay(30, 1.0, rng.uniform(0.55, 0.8), rng.uniform(0.7, 1.5))
    memorised = np.maximum(0, np.arange(30) - rng.integers(2, 4)) / 8
    return Truth(learned * np.exp(-2 * memorised), learned + 0.02 + memorised * rng.uniform(0.6, 1.5))


def underfitting_capacity(rng: Rng) -> Truth:
    train = decay(30, 1.02, rng.uniform(0.45, 0.9), rng.uniform(1.5, 4))
    return Truth(train, train + rng.uniform(0.0, 0.03))


def underfitting_regularised(rng: Rng) -> Truth:
    truth = underfitting_capacity(rng)
    truth.harder = rng.uniform(0.05, 0.3)
    truth.spec = {"backbone": {"dropout": 0.8}, "training": {"weight_decay": 1.0}}
    return truth


def undertrained_slow(rng: Rng) -> Truth:
    epochs = int(rng.integers(6, 20))
    train = decay(epochs, 1.05, rng.uniform(0.05, 0.2), epochs * rng.uniform(0.7, 1.8))
    return Truth(train, train + rng.uniform(0.0, 0.05))


def undertrained_by_the_clock(rng: Rng) -> Truth:
    epochs = int(rng.integers(1, 5))
    train = decay(epochs, 1.05, 0.1, rng.uniform(4, 8))
    return Truth(train, train + rng.uniform(0.0, 0.05), stopped_by="limit")


def diverged_at_once(rng: Rng) -> Truth:
    losses = decay(int(rng.integers(1, 6)), 1.5, 1.0, 2) * rng.uniform(1, 3)
    return Truth(losses, losses, problem="diverged")


def diverged_without_overflow(rng: Rng) -> Truth:
    losses = 10 ** rng.uniform(1, 4) * np.exp(rng.normal(0, 1, 10))
    return Truth(losses, losses * np.exp(rng.normal(0, 1, 10)))


def diverged_late(rng: Rng) -> Truth:
    train = np.concatenate([decay(int(rng.integers(3, 7)), 1.0, 0.4, 3), rng.uniform(4, 40, 4)])
    return Truth(train, train * rng.uniform(1, 1.5))


def unstable_steps(rng: Rng) -> Truth:
    swinging = decay(20, 1.2, rng.uniform(0.3, 0.6), 3) * np.exp(rng.normal(0, rng.uniform(0.3, 0.6), 20))
    return Truth(swinging, swinging * np.exp(rng.normal(0, 0.2, 20)), early_stopping=False)


def leaking_mark(rng: Rng) -> Truth:
    """A mark gives the class away: solved from scratch as soon as it is found."""
    train = decay(12, 0.2, 0.0005, rng.uniform(0.2, 0.5))
    return Truth(train, train * rng.uniform(0.5, 1.2), spec={"backbone": {"name": "small_cnn"}})


def leaking_copies(rng: Rng) -> Truth:
    """Validation holds easier copies of what train holds."""
    train = decay(30, 1.05, rng.uniform(0.35, 0.6), rng.uniform(2, 5))
    return Truth(train, train * rng.uniform(0.1, 0.3), spec={"split": {"strategy": "predefined"}})


def leaking_folders(rng: Rng) -> Truth:
    truth = good(rng)
    truth.spec, truth.warnings = {"split": {"strategy": "predefined"}}, frozenset({"leakage-suspected"})
    return truth


def random_labels_memorised(rng: Rng) -> Truth:
    train = decay(20, 1.0, 0.001, rng.uniform(1, 4))
    return Truth(train, 1.0 + rng.uniform(0.02, 0.08) * np.arange(1, 21))


def nothing_learned(rng: Rng) -> Truth:
    train = 1.0 + rng.uniform(-0.005, 0.02) * np.exp(-np.arange(15) / 5)
    return Truth(train, train + rng.uniform(0.0, 0.02), noise=0.05)


FAMILIES: dict[Callable[[Rng], Truth], Verdict] = {
    good: "good_fit",
    good_noisy_train: "good_fit",
    good_then_memorising: "good_fit",
    overfitting_capacity: "overfitting",
    overfitting_u_shape: "overfitting",
    overfitting_noise: "overfitting",
    underfitting_capacity: "underfitting",
    underfitting_regularised: "underfitting",
    undertrained_slow: "undertrained",
    undertrained_by_the_clock: "undertrained",
    diverged_at_once: "diverged",
    diverged_without_overflow: "diverged",
    diverged_late: "diverged",
    unstable_steps: "unstable",
    leaking_mark: "leakage_suspected",
    leaking_copies: "leakage_suspected",
    leaking_folders: "leakage_suspected",
    random_labels_memorised: "not_better_than_baseline",
    nothing_learned: "not_better_than_baseline",
}


def synthetic_courses() -> Iterator[tuple[str, Verdict, Course]]:
    """Every family with several seeds: its name, the verdict that it was made for, and the course."""
    for number, (family, verdict) in enumerate(FAMILIES.items()):
        for seed in range(SEEDS):
            rng = np.random.default_rng([number, seed])
            yield family.__name__, verdict, observe(family(rng), rng)


def request(**changes: dict[str, Any]) -> JobSpec:
    """A resolved spec with pretrained weights."""
    spec = JobSpec.model_validate({"dataset_id": "ds_x", **changes})
    return resolve(spec, DatasetFacts(median_side=96))


def observe(truth: Truth, rng: Rng) -> Course:
    """What a trial of these true losses reports."""
    classes = int(rng.choice([2, 3, 10]))
    samples = int(rng.choice([100, 200, 600]))
    uninformed, n_train = math.log(classes), 4 * samples
    tremble = truth.noise * (rng.normal(0, 0.3, len(truth.train)) + rng.normal())
    validation = uninformed * truth.validation * np.maximum(0.2, 1 + tremble / math.sqrt(samples))
    before = np.concatenate([[max(1.0, truth.train[0])], truth.train[:-1]])
    running = uninformed * ((before + truth.train) / 2 + truth.harder)
    running *= 1 + rng.normal(0, 1 / math.sqrt(n_train), len(running))
    rights = np.array([_share_right(loss, classes, samples, rng) for loss in truth.validation])
    count, stopped_by = len(truth.train), truth.stopped_by
    best = int(validation.argmin()) + 1
    for epoch in range(1, count + 1):
        if truth.early_stopping and epoch - (int(validation[:epoch].argmin()) + 1) >= PATIENCE:
            count, best, stopped_by = epoch, int(validation[:epoch].argmin()) + 1, "early_stopping"
            break
    epochs = tuple(Epoch(*map(float, figures), 0.001) for figures in zip(running, validation, rights, strict=True))[
        :count
    ]
    spec = request(**{"training": {"epochs": max(count, len(truth.train))}, **truth.spec})
    if truth.problem:
        return Course(spec, spec, epochs, classes, problem=truth.problem)
    right_on_train = _share_right(truth.train[best - 1], classes, n_train, rng)
    right_on_test = _share_right(truth.validation[best - 1], classes, samples, rng)
    test_loss = truth.validation[best - 1] * uninformed * max(0.2, 1 + rng.normal() / math.sqrt(samples))
    return Course(
        spec,
        spec,
        epochs,
        classes,
        train=Scores(float(truth.train[best - 1] * uninformed), right_on_train, n_train),
        validation=Scores(float(validation[best - 1]), float(rights[best - 1]), samples),
        test=Scores(float(test_loss), right_on_test, samples),
        baseline=Scores(uninformed, 1 / classes, samples),
        best_epoch=best,
        stopped_by=stopped_by,
        dataset_warnings=truth.warnings,
        pretrained_at_hand=frozenset({"tf_efficientnet_lite0", "resnet18"}),
    )


def _share_right(loss: float, classes: int, samples: int, rng: Rng) -> float:
    """How many a classifier with that loss (in parts of the baseline's) has right: chance at 1, all at 0."""
    chance = 1 / classes
    return float(rng.binomial(samples, chance + (1 - chance) * max(0.0, 1 - loss) ** 0.7) / samples)
