"""Scores in words, of classes and of values."""

from worker.diagnosing.course import Scores
from worker.diagnosing.measures import Measures


def loss_text(m: Measures, loss: float) -> str:
    """A loss: nats to three places, squared units to four digits."""
    return f"{loss:.4g}" if m.course.is_regression else f"{loss:.3f}"


def loss_and_right(m: Measures, scores: Scores) -> str:
    """The loss of a split, and of classes how many answers are right."""
    right = "" if scores.accuracy is None else f" with {scores.accuracy:.1%} right"
    return f"{loss_text(m, scores.loss)}{right}"


def compared(m: Measures) -> str:
    """What the baseline says, and how that compares."""
    if m.validation.accuracy is None or m.baseline.accuracy is None:
        losses = f"a mean squared error of {loss_text(m, m.validation.loss)} against {loss_text(m, m.baseline.loss)}"
        return f"the mean of the train targets ({losses})"
    return f"the commonest class ({m.validation.accuracy:.1%} right against {m.baseline.accuracy:.1%})"


def baseline_alone(m: Measures) -> str:
    """What the baseline comes to."""
    if m.baseline.accuracy is None:
        return f"always saying the mean costs {loss_text(m, m.baseline.loss)}"
    return f"the commonest class alone gets {m.baseline.accuracy:.1%}"


def more_samples(m: Measures) -> str:
    """What helps against overfitting beside all remedies."""
    return f" More samples{'' if m.course.is_regression else ' of each class'} would help most."
