"""Intervals against scipy's bootstrap, Wilson's interval, scikit-learn's scores, and by coverage."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from worker.training import bootstrap
from worker.training.bootstrap import Answers, intervals
from worker.training.metrics import probability_scores


def answers(samples: int, classes: int, seed: int = 0, *, skill: float = 1.5) -> Answers:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, samples)
    logits = generator.normal(size=(samples, classes))
    logits[np.arange(samples), targets] += skill
    probabilities = torch.from_numpy(logits).softmax(1).numpy()
    losses = -np.log(probabilities[np.arange(samples), targets])
    return Answers(probabilities, logits.argmax(1), targets, losses * 1.5, losses)


def drawn_anew(given: Answers, counts: Any) -> Answers:
    """The samples of one resample, written out."""
    places = np.repeat(np.arange(len(counts)), counts.astype(int))
    return Answers(**{name: value[places] for name, value in vars(given).items()})


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_every_resample_is_scored_as_any_split_is(classes: int) -> None:
    """Against the scores of the resample written out, which are scikit-learn's (test_metrics)."""
    given = answers(90, classes)
    given.probabilities[:] = np.random.default_rng(0).multinomial(16, given.probabilities) / 16  # many ties
    counts = next(bootstrap.resamples(90, seed=3))[:, :25]
    found = bootstrap._scores(given, counts) | {"roc_auc": bootstrap._roc_auc(given, counts)}
    names = [str(each) for each in range(classes)]
    for column in range(25):
        one = drawn_anew(given, counts[:, column])
        expected = probability_scores(one.probabilities, one.predicted, one.targets, names)
        expected |= {"loss": one.losses.mean(), "log_loss": one.log_losses.mean()}
        for name, values in found.items():
            assert values[column] == pytest.approx(expected[name], abs=2e-6), name


def statistic(name: str) -> Any:
    if name == "accuracy":
        return reference.accuracy_score
    if name == "balanced_accuracy":
        return reference.balanced_accuracy_score
    return lambda truth, said: reference.f1_score(truth, said, average="macro")


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_intervals_are_scipys(name: str) -> None:
    given = answers(300, 4)
    score = statistic(name)
    theirs = stats.bootstrap(
        (given.targets, given.predicted), score, paired=True, vectorized=False, n_resamples=2000,
        method="percentile", rng=np.random.default_rng(1),
    )  # fmt: skip
    spread = float(theirs.standard_error)
    ours = np.mean([intervals(given, seed)[name] for seed in range(8)], axis=0)
    # The 2.5th percentile of b normal draws has a standard error of about 2.7 spreads / √b.
    assert ours == pytest.approx(list(theirs.confidence_interval), abs=4 * 2.7 * spread / 2000**0.5)


def test_log_loss_and_loss_are_scipys() -> None:
    given = answers(400, 3)
    for name, losses in (("loss", given.losses), ("log_loss", given.log_losses)):
        theirs = stats.bootstrap(
            (losses,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
        )
        ours = np.mean([intervals(given, seed)[name] for seed in range(8)], axis=0)
        assert ours == pytest.approx(list(theirs.confidence_interval), abs=0.2 * float(theirs.standard_error))


def test_accuracy_is_covered_as_often_as_promised() -> None:
    """400 test splits of 200 samples from a network of known accuracy; Wilson's interval beside."""
    generator = np.random.default_rng(5)
    truth, samples, rounds = 0.85, 200, 400
    covered, widths = 0, []
    for round_ in range(rounds):
        right = generator.random(samples) < truth
        targets = generator.integers(0, 2, samples)
        predicted = np.where(right, targets, 1 - targets)
        given = Answers(np.full((samples, 2), 0.5), predicted, targets, np.ones(samples), np.ones(samples))
        low, high = intervals(given, round_)["accuracy"] or (0.0, 0.0)
        covered += low <= truth <= high
        wilson = stats.binomtest(int(right.sum()), samples).proportion_ci(method="wilson")
        widths.append((high - low) / (wilson.high - wilson.low))
    # Three standard errors of 400 rounds at 95 % are 3.3 points.
    assert covered / rounds == pytest.approx(0.95, abs=0.033)
    assert np.mean(widths) == pytest.approx(1.0, abs=0.05)


def test_the_seed_decides() -> None:
    given = answers(100, 3)
    assert intervals(given, 1) == intervals(given, 1)
    assert intervals(given, 1) != intervals(given, 2)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    given = answers(100, 3)
    whole = intervals(given, 1)
    monkeypatch.setattr(bootstrap, "_CELLS_AT_ONCE", 100 * 137)
    for name, interval in intervals(given, 1).items():
        assert interval == pytest.approx(whole[name], abs=1e-6), name


def test_a_class_that_does_not_occur() -> None:
    given = answers(100, 3)
    given.targets[given.targets == 2] = 0
    found = intervals(given, 0)
    assert found["roc_auc"] is None
    low, high = found["balanced_accuracy"] or (1.0, 0.0)
    assert 0 <= low < high <= 1


def test_a_class_of_few_samples_is_missing_in_some_resamples() -> None:
    """Two classes of one sample: one is missing in 60 % of resamples. With five of one of them, in 37 %."""
    given = answers(200, 4)
    given.targets[given.targets > 1] = 0
    given.targets[0] = 2
    given.targets[1] = 3
    assert intervals(given, 0)["roc_auc"] is None
    given.targets[2:6] = 3
    assert intervals(given, 0)["roc_auc"] is not None


def test_certain_answers_have_no_width() -> None:
    given = answers(50, 2)
    sure = dataclasses.replace(given, predicted=given.targets)
    assert intervals(sure, 0)["accuracy"] == [1.0, 1.0]


def test_curves_are_left_out_where_they_cost_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    given = answers(100, 3)
    whole = intervals(given, 0)["roc_auc"]
    monkeypatch.setattr(bootstrap, "_ROC_WORK", 300 * 250)
    assert intervals(given, 0)["roc_auc"] == pytest.approx(whole, abs=0.01)
    monkeypatch.setattr(bootstrap, "_MOST_ROC_CELLS", 299)
    assert intervals(given, 0)["roc_auc"] is None
