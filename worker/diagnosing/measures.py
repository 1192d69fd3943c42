"""Figures that verdicts rest on, computed once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from worker.diagnosing.course import Course, Scores
from worker.diagnosing.thresholds import LEAK_NOISE, LEAST_SWING, OVERFIT_SHARE, SWING, VALIDATION_SWING, Z_95

TINY_LOSS = 1e-3
LAST_EPOCHS = 3


class Undiagnosable(ValueError):
    """A course lacks the figures that a verdict needs."""


@dataclass(frozen=True)
class Measures:
    """A course in figures; shares are of the baseline's loss unless said otherwise."""

    course: Course
    train: Scores
    validation: Scores
    baseline: Scores

    @classmethod
    def of(cls, course: Course) -> "Measures":
        """Raises `Undiagnosable`."""
        if course.train is None or course.validation is None or course.baseline is None or not course.epochs:
            raise Undiagnosable("the course lacks epochs, or scores on train, validation or of the baseline")
        return cls(course, course.train, course.validation, course.baseline)

    @cached_property
    def train_losses(self) -> list[float]:
        """Running means, by epoch."""
        return [epoch.train_loss for epoch in self.course.epochs]

    @cached_property
    def validation_losses(self) -> list[float]:
        """By epoch."""
        return [epoch.validation_loss for epoch in self.course.epochs]

    def share(self, scores: Scores) -> float:
        """A split's loss in parts of what an uninformed answer costs there.

        Values of one split may spread more than those of another, by chance: each is held against its own.
        """
        return scores.loss / (scores.uninformed or self.baseline.loss)

    @property
    def train_skill(self) -> float:
        """Share of the baseline's loss saved on train."""
        return 1.0 - self.share(self.train)

    @property
    def validation_skill(self) -> float:
        """Share of the baseline's loss saved on validation."""
        return 1.0 - self.share(self.validation)

    @property
    def gap(self) -> float:
        """What validation costs more than train at the best epoch, in nats or squared units."""
        if self.course.is_regression:
            return (self.share(self.validation) - self.share(self.train)) * self.baseline.loss
        return self.validation.loss - self.train.loss

    @property
    def gap_ratio(self) -> float:
        """The gap as a share of the train loss."""
        train = self.share(self.train) * self.baseline.loss if self.course.is_regression else self.train.loss
        return self.gap / max(train, self.tiny)

    @property
    def gap_share(self) -> float:
        """The gap as a share of the baseline's loss."""
        return self.gap / self.baseline.loss

    @property
    def loss_error(self) -> float:
        """Standard error of the validation loss, estimated: a few wrong answers carry most of a loss.

        Of values in the measure of the gap: as if the split spread as the baseline's does.
        """
        error = standard_error(self.validation)
        return error * self.baseline.loss / (self.validation.uninformed or self.baseline.loss)

    @property
    def tiny(self) -> float:
        """A loss next to nothing, to divide by instead of 0."""
        return TINY_LOSS * (self.baseline.loss if self.course.is_regression else 1.0)

    @property
    def accuracy_above_baseline(self) -> float | None:
        """Lower end of the validation accuracy's 95 % interval, above the baseline's accuracy; None of values."""
        accuracies = interval(self.validation)
        if accuracies is None or self.baseline.accuracy is None:
            return None
        return accuracies[0] - self.baseline.accuracy

    def above(self, other: Scores) -> float:
        """How far validation is better than `other` beyond chance: above 0 it is.

        Of classes the gap between the 95 % intervals of the accuracies. Of values the gap of the losses, in parts of
        what an uninformed answer costs, beyond four standard errors and what would matter the other way round.
        """
        mine, theirs = interval(self.validation), interval(other)
        if mine is not None and theirs is not None:
            return mine[0] - theirs[1]
        here, there = self.share(self.validation), self.share(other)
        noise = math.hypot(here * math.sqrt(2 / self.validation.samples), there * math.sqrt(2 / other.samples))
        return there - here - max(OVERFIT_SHARE, LEAK_NOISE * noise)

    @cached_property
    def rise_after_best(self) -> float:
        """Validation loss of the last epochs above that of the best epoch, as a share of it; 0 without such epochs."""
        best = self.course.best_epoch or len(self.validation_losses)
        after = self.validation_losses[best:][-LAST_EPOCHS:]
        return sum(after) / len(after) / max(self.validation_losses[best - 1], self.tiny) - 1.0 if after else 0.0

    @property
    def train_fall_after_best(self) -> float:
        """How far the running train loss fell after the best epoch, as a share of it there."""
        best = self.course.best_epoch or len(self.train_losses)
        return 1.0 - self.train_losses[-1] / max(self.train_losses[best - 1], self.tiny)

    @property
    def recent_fall(self) -> float:
        """Fall of the best validation loss over the last third of the epochs; of a single epoch, from the baseline."""
        return _recent_fall(self.validation_losses, self.baseline.loss, self.tiny)

    @property
    def recent_train_fall(self) -> float:
        """The same of the running train loss."""
        return _recent_fall(self.train_losses, self.baseline.loss, self.tiny)

    @cached_property
    def train_swings(self) -> int:
        """How often the running train loss rose and fell again by more than chance."""
        middle = median(self.train_losses)
        noise = middle * math.sqrt((2 if self.course.is_regression else 1) / self.train.samples)
        return swings(self.train_losses, max(SWING * middle, LEAST_SWING * self.baseline.loss, 2 * noise))

    @cached_property
    def validation_swings(self) -> int:
        """How often the validation loss rose and fell again by more than chance."""
        middle = median(self.validation_losses)
        least = max(VALIDATION_SWING * middle, LEAST_SWING * self.baseline.loss, 2 * self.loss_error)
        return swings(self.validation_losses, least)

    def swinging(self, count: int) -> float:
        """Share of the steps between epochs that belong to `count` swings: each takes two at least."""
        return 2 * count / max(1, len(self.course.epochs) - 1)


def interval(scores: Scores) -> tuple[float, float] | None:
    """The accuracy's 95 % interval (Wilson 1927), which holds for few samples and near 0 and 1; None of values."""
    share, n = scores.accuracy, scores.samples
    if share is None:
        return None
    middle = share + Z_95**2 / (2 * n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    return (middle - half) / (1 + Z_95**2 / n), (middle + half) / (1 + Z_95**2 / n)


def standard_error(scores: Scores) -> float:
    """Of a mean cross entropy: taken as if the loss sat on twice the wrong share of the samples.

    Of a mean squared error: that of normal residuals, whose squares have a standard deviation of √2 times their mean.
    """
    if scores.accuracy is None:
        return scores.loss * math.sqrt(2 / scores.samples)
    carrying = min(1.0, max(2 * (1 - scores.accuracy), 1 / scores.samples))
    return scores.loss / math.sqrt(carrying * scores.samples)


def swings(values: Sequence[float], least: float) -> int:
    """How many rises by `least` or more were followed by falls by as much."""
    count, low, high = 0, values[0], -math.inf
    for value in values[1:]:
        if high == -math.inf:
            low = min(low, value)
            if value - low >= least:
                high = value
        else:
            high = max(high, value)
            if high - value >= least:
                count, low, high = count + 1, value, -math.inf
    return count


def _recent_fall(losses: Sequence[float], uninformed: float, tiny: float) -> float:
    if len(losses) == 1:
        return 1.0 - losses[0] / uninformed
    recent = math.ceil(len(losses) / 3)
    before = min(losses[:-recent])
    return 1.0 - min(losses[-recent:]) / max(before, tiny)
