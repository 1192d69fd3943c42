"""Temperature scaling on answers whose temperature is known, and against scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

from worker.training.calibration import (
    HIGHEST,
    LEAST_SAMPLES,
    LOWEST,
    choose_temperature,
    fit_temperature,
    reliability,
)
from worker.training.metrics import scores


def answers(temperature: float, samples: int = 2000, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Targets drawn from the softmax of logits, which are then made `temperature` times too large."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randn(samples, classes, generator=generator, dtype=torch.float64) * 1.5
    targets = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    return (true * temperature).float(), targets


def nll(logits: Tensor, targets: Tensor, temperature: float) -> float:
    return float(cross_entropy(logits.double() / temperature, targets))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 3.0, 8.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    """The standard error of a fit to 100,000 samples is half a percent."""
    assert fit_temperature(*answers(temperature, samples=100_000)) == pytest.approx(temperature, rel=0.02)


@pytest.mark.parametrize(("temperature", "classes", "seed"), [(0.3, 2, 1), (1.0, 3, 2), (2.5, 10, 3), (6.0, 100, 4)])
def test_the_likelihood_is_scipys(temperature: float, classes: int, seed: int) -> None:
    logits, targets = answers(temperature, samples=300, classes=classes, seed=seed)
    theirs = minimize_scalar(
        lambda x: nll(logits, targets, math.exp(x)), bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    ours = fit_temperature(logits, targets)
    assert nll(logits, targets, ours) == pytest.approx(theirs.fun, abs=1e-9)
    assert nll(logits, targets, ours) <= theirs.fun + 1e-12
    assert ours == pytest.approx(math.exp(theirs.x), rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_a_shift_of_all_logits_changes_nothing(shift: float) -> None:
    logits, targets = answers(2.0, samples=500)
    assert fit_temperature(logits.double() + shift, targets) == pytest.approx(
        fit_temperature(logits, targets), rel=1e-6
    )


def test_the_bounds_hold() -> None:
    logits, targets = answers(1.0, samples=500)
    assert fit_temperature(logits * 1e3, targets) == HIGHEST
    assert fit_temperature(-logits, targets) == HIGHEST
    assert fit_temperature(logits * 1e-3, targets) == LOWEST
    certain = torch.eye(5).repeat(20, 1)
    assert fit_temperature(certain * 500, torch.arange(5).repeat(20)) == LOWEST


def test_it_is_never_worse_on_validation_and_never_changes_an_answer() -> None:
    for seed in range(30):
        logits, targets = answers(float(np.exp(seed / 10 - 1.5)), samples=LEAST_SAMPLES + seed, seed=seed)
        temperature = choose_temperature(logits, targets).value
        assert nll(logits, targets, temperature) <= nll(logits, targets, 1.0)
        before, after = (scores(logits, targets, list("abcde"), temperature=by) for by in (1.0, temperature))
        for name in ("loss", "accuracy", "balanced_accuracy", "macro_f1", "confusion_matrix", "per_class"):
            assert before[name] == after[name]


def test_calibration_helps_where_nobody_looked() -> None:
    logits, targets = answers(3.0, samples=4000)
    temperature = choose_temperature(logits[:2000], targets[:2000]).value
    before, after = (scores(logits[2000:], targets[2000:], list("abcde"), temperature=by) for by in (1.0, temperature))
    assert after["log_loss"] < 0.8 * before["log_loss"]  # type: ignore[operator]
    assert after["expected_calibration_error"] < 0.2 * before["expected_calibration_error"]  # type: ignore[operator]
    assert after["loss"] == before["loss"] == pytest.approx(before["log_loss"])


def test_few_samples_and_faultless_ones_tell_nothing() -> None:
    few = choose_temperature(*answers(3.0, samples=LEAST_SAMPLES - 1))
    assert (few.value, "too few" in few.reason) == (1.0, True)
    faultless = choose_temperature(torch.eye(5).repeat(20, 1) * 3, torch.arange(5).repeat(20))
    assert (faultless.value, "wrong answers" in faultless.reason) == (1.0, True)
    told = choose_temperature(*answers(3.0, samples=2000))
    assert f"temperature {told.value:.3f}" in told.reason


def test_reliability_by_hand() -> None:
    """Three of confidence 0.9 (bin 13 of 0..14), two right; one of 0.6 (bin 9), right; one of 1.0 (bin 14), wrong."""
    sure = np.array([0.9, 0.9, 0.9, 0.6, 1.0])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    found = reliability(probabilities, np.zeros(5, np.int64), np.array([0, 0, 1, 0, 1]))
    bins = {round(one["low"] * 15): one for one in found["bins"]}  # type: ignore[attr-defined]
    assert {place: one["samples"] for place, one in bins.items() if one["samples"]} == {9: 1, 13: 3, 14: 1}
    assert bins[13] == {"low": 13 / 15, "high": 14 / 15, "samples": 3, "confidence": pytest.approx(0.9),
                        "accuracy": pytest.approx(2 / 3)}  # fmt: skip
    assert bins[0]["accuracy"] is None
    by_hand = 3 / 5 * abs(0.9 - 2 / 3) + 1 / 5 * abs(0.6 - 1) + 1 / 5 * abs(1.0 - 0)
    assert found["expected_calibration_error"] == pytest.approx(by_hand)


def test_the_calibration_error_is_an_independent_ones() -> None:
    """The loop over bins of Guo et al.'s own code (github.com/gpleiss/temperature_scaling), written anew."""
    logits, targets = answers(2.0, samples=3000)
    shares = logits.double().softmax(1)
    confidences, said = shares.max(1)
    expected = 0.0
    for place in range(15):
        inside = (confidences > place / 15) & (confidences <= (place + 1) / 15)
        if inside.any():
            gap = (said == targets)[inside].double().mean() - confidences[inside].mean()
            expected += float(gap.abs() * inside.double().mean())
    found = reliability(shares.numpy(), said.numpy(), targets.numpy())
    assert found["expected_calibration_error"] == pytest.approx(expected)
    assert scores(logits, targets, list("abcde"))["expected_calibration_error"] == pytest.approx(expected)
