"""How far scores would move with another test split of the same size: percentile bootstrap intervals.

Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.3: samples are drawn anew with replacement, the
scores are taken of each resample, and an interval runs from the 2.5th to the 97.5th percentile of what they come to.
The calibration error grows with noise, so that its interval lies above its value rather than around it.

Shapes: n samples, c classes, b resamples. A resample is a column of counts [n, b]: how often it has each sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.training.metrics import Floats, Integers, confidence_bins

RESAMPLES = 1000
COVERAGE = 0.95
_CELLS_AT_ONCE = 2**24
_ROC_WORK, _MOST_ROC_CELLS = 5 * 10**7, 10**6
_FEWEST_ROC_RESAMPLES = 200
Counts = NDArray[np.float32]
Interval = list[float]


@dataclass(frozen=True)
class Answers:
    """What a network answered to samples.

    Attributes:
        probabilities: [n, c].
        predicted, targets: [n].
        losses: [n], nats, before calibration; log_losses after it.
    """

    probabilities: Floats
    predicted: Integers
    targets: Integers
    losses: Floats
    log_losses: Floats


def intervals(answers: Answers, seed: int) -> dict[str, Interval | None]:
    """The 95 % interval of each score from 1,000 resamples, the same for the same seed.

    A score that a resample leaves undefined (`roc_auc` where a class does not occur) is taken of the others; None
    where it is undefined in more than half. `balanced_accuracy` and `macro_f1` are over the classes that a resample
    has, as everywhere. `roc_auc` takes fewer resamples, 200 at least, where samples times classes are more than
    50,000, and is None where they are more than a million.
    """
    cells = answers.probabilities.size
    curves = 0 if cells > _MOST_ROC_CELLS else min(RESAMPLES, max(_FEWEST_ROC_RESAMPLES, _ROC_WORK // cells))
    found: dict[str, list[Floats]] = {}
    done = 0
    for counts in resamples(len(answers.targets), seed):
        scores = _scores(answers, counts)
        if done < curves:
            scores["roc_auc"] = _roc_auc(answers, counts[:, : curves - done])
        done += counts.shape[1]
        for name, values in scores.items():
            found.setdefault(name, []).append(values)
    result = {name: interval(np.concatenate(values)) for name, values in found.items()}
    return {"roc_auc": None, **result}


def resamples(samples: int, seed: int) -> Iterator[Counts]:
    """`RESAMPLES` columns in blocks that fit into memory."""
    generator = np.random.default_rng(seed)
    at_once = max(1, min(RESAMPLES, _CELLS_AT_ONCE // samples))
    for start in range(0, RESAMPLES, at_once):
        rows = np.empty((min(at_once, RESAMPLES - start), samples), np.float32)
        for row in rows:
            row[:] = np.bincount(generator.integers(0, samples, samples), minlength=samples)
        yield np.ascontiguousarray(rows.T)


def _scores(answers: Answers, counts: Counts) -> dict[str, Floats]:
    """Scores [b] by name, as `metrics.probability_scores` defines them."""
    samples, classes = answers.probabilities.shape
    cells, of_sample = np.unique(answers.targets * classes + answers.predicted, return_inverse=True)
    sums = _sums(counts, of_sample, len(cells))
    true, said = cells // classes, cells % classes
    hits = _sums(sums * (true == said)[:, None], true, classes)
    support = _sums(sums, true, classes)
    sizes = support + _sums(sums, said, classes)
    confidences = answers.probabilities.max(1)
    gaps = (confidences - (answers.predicted == answers.targets)).astype(np.float32)
    by_bin = _sums(counts * gaps[:, None], *confidence_bins(confidences))
    with np.errstate(invalid="ignore"):
        return {
            "loss": answers.losses.astype(np.float32) @ counts / samples,
            "accuracy": hits.sum(0, dtype=np.float64) / samples,
            "balanced_accuracy": np.nanmean(hits / support, axis=0),
            "macro_f1": np.nanmean(2 * hits / sizes, axis=0),
            "log_loss": answers.log_losses.astype(np.float32) @ counts / samples,
            "expected_calibration_error": np.abs(by_bin).sum(0) / samples,
        }


def _roc_auc(answers: Answers, counts: Counts) -> Floats:
    """[b]: one class against the rest, mean over classes; of two classes both ways are the same."""
    classes = answers.probabilities.shape[1]
    looked_at = [1] if classes == 2 else list(range(classes))
    areas = [_area(counts, answers.probabilities[:, each], answers.targets == each) for each in looked_at]
    mean: Floats = np.mean(areas, axis=0)
    return mean


def _area(counts: Counts, scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """[b]: the share of (positive, negative) pairs in right order, ties for half (Mann & Whitney 1947)."""
    levels = np.unique(scores[positive])
    # Of a negative: twice the number of levels below it, and one more if it is on a level itself.
    places = np.searchsorted(levels, scores, "left") + np.searchsorted(levels, scores, "right")
    negatives = _sums(counts[~positive], places[~positive], 2 * len(levels) + 1).cumsum(0)
    positives = _sums(counts[positive], places[positive] // 2, len(levels))
    right = (positives * (negatives[:-1:2] + negatives[1::2])).sum(0, dtype=np.float64) / 2
    pairs = positives.sum(0, dtype=np.float64) * negatives[-1]
    with np.errstate(invalid="ignore"):
        area: Floats = right / pairs
    return area


def _sums(rows: NDArray[np.float32], places: Integers, count: int) -> NDArray[np.float32]:
    """[n, b] → [count, b]: the sum of the rows at each place; whole numbers stay exact below 2 ** 24."""
    order = np.argsort(places, kind="stable")
    present, starts = np.unique(places[order], return_index=True)
    result = np.zeros((count, rows.shape[1]), np.float32)
    if len(present):
        result[present] = np.add.reduceat(rows[order], starts, axis=0)
    return result


def interval(values: Floats) -> Interval | None:
    """From the 2.5th to the 97.5th percentile of [b] scores; None if more than half are undefined."""
    defined = values[np.isfinite(values)]
    if 2 * len(defined) < len(values):
        return None
    low, high = np.quantile(defined, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return [float(low), float(high)]
