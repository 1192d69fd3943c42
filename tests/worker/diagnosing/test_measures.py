"""Measures against closed forms and against scipy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.worker.diagnosing.courses import request
from worker.diagnosing.course import Course, Epoch, Scores
from worker.diagnosing.diagnosis import diagnose
from worker.diagnosing.measures import Measures, Undiagnosable, interval, standard_error, swings


def course(train: list[float], validation: list[float], **changes: object) -> Course:
    """Two classes; scores are those of the best epoch."""
    best = min(range(len(validation)), key=validation.__getitem__)
    epochs = tuple(Epoch(a, b, 0.8, 0.001) for a, b in zip(train, validation, strict=True))
    made = Course(
        request(),
        request(),
        epochs,
        2,
        train=Scores(train[best], 0.9, 400),
        validation=Scores(validation[best], 0.8, 100),
        test=Scores(validation[best], 0.8, 100),
        baseline=Scores(math.log(2), 0.5, 100),
        best_epoch=best + 1,
        stopped_by="epochs",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("right", "samples"), [(0, 10), (10, 10), (37, 40), (1, 1), (450, 900)])
def test_intervals_are_wilsons(right: int, samples: int) -> None:
    theirs = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    assert interval(Scores(0.5, right / samples, samples)) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_the_standard_error_is_that_of_losses_on_a_few_samples() -> None:
    """Twice the wrong share of the samples carries the loss evenly: sd = mean · sqrt(1 / carrying), nearly."""
    losses = np.zeros(1000)
    losses[:200] = 2.0
    expected = losses.std() / math.sqrt(1000)
    assert standard_error(Scores(losses.mean(), 0.9, 1000)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([5, 4, 3, 2, 1], 0),
        ([1, 2, 3, 4, 5], 0),
        ([3, 2, 1, 2, 3], 0),
        ([1, 3, 1, 3, 1], 2),
        ([1, 1.5, 1, 1.5, 1], 0),
        ([1, 2, 3, 2, 1, 3], 1),
    ],
)
def test_swings_go_up_and_come_down(values: list[float], count: int) -> None:
    assert swings(values, 1.0) == count


def test_figures_of_a_small_course() -> None:
    losses = [0.6, 0.5, 0.4, 0.45, 0.5, 0.55]
    measures = Measures.of(course([0.6, 0.4, 0.2, 0.1, 0.05, 0.05], losses))
    assert measures.gap_ratio == pytest.approx(1.0)
    assert measures.gap_share == pytest.approx(0.2 / math.log(2))
    assert measures.train_skill == pytest.approx(1 - 0.2 / math.log(2))
    assert measures.rise_after_best == pytest.approx(0.5 / 0.4 - 1)
    assert measures.train_fall_after_best == pytest.approx(0.75)
    assert measures.recent_fall == pytest.approx(1 - 0.5 / 0.4)


def test_one_epoch_falls_from_the_baseline() -> None:
    measures = Measures.of(course([0.6], [math.log(2) / 2]))
    assert measures.recent_fall == pytest.approx(0.5)
    assert measures.rise_after_best == 0.0


def test_confidence_grows_with_the_gap_and_with_samples() -> None:
    flat = [0.3] * 12
    small, large = (course([0.3 - gap] * 12, flat) for gap in (0.14, 0.25))
    many = replace(large, validation=Scores(0.3, 0.8, 2000))
    said = [diagnose(made) for made in (small, large, many)]
    assert [diagnosis.verdict for diagnosis in said] == ["overfitting"] * 3
    confidences = [diagnosis.confidence for diagnosis in said]
    assert confidences == sorted(set(confidences))


def test_without_scores_there_is_no_verdict() -> None:
    with pytest.raises(Undiagnosable):
        diagnose(replace(course([0.6], [0.5]), validation=None))
    with pytest.raises(Undiagnosable):
        diagnose(replace(course([0.6], [0.5]), epochs=()))


def test_divergence_needs_no_scores() -> None:
    found = diagnose(Course(request(), request(), (), 2, problem="diverged"))
    assert (found.verdict, found.confidence) == ("diverged", 0.99)
    assert found.remedies[0].id == "lower-learning-rate"


def test_leaking_folders_say_nothing_of_a_split_dealt_anew() -> None:
    losses = [0.6, 0.3, 0.2, 0.2, 0.2, 0.2]
    warned = course(losses, losses, dataset_warnings=frozenset({"leakage-suspected"}))
    assert diagnose(warned).verdict == "good_fit"
    warning = next(e for e in diagnose(warned).evidence if e.measure == "dataset_leakage_warning")
    assert "anew" in warning.comment
    predefined = replace(warned, spec=request(split={"strategy": "predefined"}))
    assert diagnose(predefined).verdict == "leakage_suspected"
