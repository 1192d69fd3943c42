"""One rule per verdict; the first that holds decides. `diagnosis.RULES` has their order and says why."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from service.specs.diagnosis import Verdict
from worker.diagnosing import thresholds as at
from worker.diagnosing.course import Course
from worker.diagnosing.measures import Measures, interval
from worker.diagnosing.wording import baseline_alone, compared, loss_and_right, loss_text, more_samples


@dataclass(frozen=True)
class Finding:
    """A verdict that holds.

    Attributes:
        margin: how far the deciding measure lies beyond its threshold, 0 at it, 1 at about twice it.
        leading: the measures that it rests on.
    """

    verdict: Verdict
    margin: float
    summary: str
    leading: tuple[str, ...]


Rule = Callable[[Measures], Finding | None]


def uninformed_loss(course: Course) -> float | None:
    """The baseline's loss, or that of equal shares where it was never measured; None if that is not known of values."""
    if course.baseline:
        return course.baseline.loss
    return None if course.is_regression else math.log(max(2, course.classes))


def diverged(course: Course) -> Finding | None:
    """A loss that is not finite, or that stayed or ended far above that of an uninformed answer."""
    uninformed = uninformed_loss(course)
    losses = [epoch.train_loss for epoch in course.epochs]
    leading = ("non_finite_loss", "last_train_loss", "learning_rate")
    if course.problem == "diverged" or not all(math.isfinite(loss) for loss in losses):
        text = f"The steps are too large for this {course.learner} and its data."
        return Finding("diverged", math.inf, f"Training diverged: a loss stopped being finite. {text}", leading)
    if not losses or uninformed is None or not _exploded(course, at.EXPLODED * uninformed):
        return None
    text = (
        f"Training diverged: the train loss went up to {max(losses):.3g} and ended at {losses[-1]:.3g}, though knowing "
        f"nothing costs {uninformed:.3g}. The steps are too large."
    )
    return Finding("diverged", max(losses) / (at.EXPLODED * uninformed) - 1, text, leading)


def unstable(m: Measures) -> Finding | None:
    """The train loss itself swings, and the result is not good in spite of it."""
    return _unstable(m, "train", m.train_swings)


def unstable_on_validation(m: Measures) -> Finding | None:
    """Only the validation loss swings, by more than its noise."""
    return _unstable(m, "validation", m.validation_swings)


def leaking(m: Measures) -> Finding | None:
    """The figures are better than they can honestly be; only asked of what beats the baseline."""
    if not _better_than_baseline(m):
        return None
    warned = _warned_leak(m)
    if warned is not None:
        return warned
    above_train, above_test = m.above(m.train), m.above(m.course.test or m.validation)
    if above_train > 0 or above_test > 0:
        other = "train" if above_train > 0 else "test"
        text = (
            f"The {m.course.learner} is clearly better on validation than on {other}, which chance does not explain: "
            "validation may hold copies of train samples, or easier ones."
        )
        return Finding("leakage_suspected", 10 * max(above_train, above_test), text, (f"validation_above_{other}",))
    return _perfect_too_early(m)


def _warned_leak(m: Measures) -> Finding | None:
    if "leakage-suspected" not in m.course.dataset_warnings:
        return None
    text = None
    if m.course.estimator is None and m.course.spec.split.strategy == "predefined":
        text = "Pictures occur in more than one split, so the scores are better than they should be."
    if m.course.estimator is not None and m.validation_skill >= at.GOOD_SKILL:
        text = (
            "A column almost decides the target by itself, and the scores are as good as that. If it is not known at "
            "the time of a prediction, leave it out of the dataset."
        )
    return Finding("leakage_suspected", 1.0, text, ("dataset_leakage_warning",)) if text else None


def _perfect_too_early(m: Measures) -> Finding | None:
    """Not asked of estimators: tables are often easy, and columns that give the target away have their warning."""
    early, accuracies = m.course.epochs[: at.PERFECT_EPOCHS][-1].validation_accuracy, interval(m.validation)
    if m.course.estimator is not None or early is None or accuracies is None:
        return None
    low = accuracies[0]
    is_perfect = early >= at.PERFECT_ACCURACY and low >= at.PERFECT_LOWER_BOUND and m.validation_skill >= at.GOOD_SKILL
    if not is_perfect or m.course.spec.network.weights != "none":
        return None
    marks = "a mark, a border, a camera" if m.course.inputs == "pictures" else "a name, a heading, a signature"
    text = (
        f"A network without pretrained weights had {early:.1%} of validation right after "
        f"{min(at.PERFECT_EPOCHS, len(m.course.epochs))} epochs. Either the problem is very easy, or something in "
        f"the {m.course.inputs} gives the class away ({marks}): look at a few explanations."
    )
    margin = (low - at.PERFECT_LOWER_BOUND) / (1 - at.PERFECT_LOWER_BOUND)
    return Finding("leakage_suspected", margin, text, ("early_validation_accuracy",))


def not_better_than_baseline(m: Measures) -> Finding | None:
    """Validation is at chance and stays there.

    A network that has memorised train all the same is not called overfitting: regularising what carries no signal
    does not help, looking at the labels does.
    """
    if _better_than_baseline(m) or _too_short(m):
        return None
    lowest = min(m.train_losses) / m.baseline.loss
    text = f"On validation the {m.course.learner} is no better than always saying {compared(m)}. "
    if lowest < at.MEMORISED:
        text += (
            "It can memorise its train samples, but nothing of that carries over: check that the "
            f"{'targets' if m.course.is_regression else 'labels'} are right and that the {m.course.inputs} show what "
            "they stand for, and add samples."
        )
    else:
        text += (
            "It has not learned its train samples either: it hardly moves, or the targets do not follow from the "
            f"{m.course.inputs}."
        )
    margin = (at.BETTER_SKILL - m.validation_skill) / at.BETTER_SKILL
    leading = ("validation_accuracy_above_baseline", "validation_skill", "lowest_train_loss_share")
    return Finding("not_better_than_baseline", margin, text, leading)


def undertrained(m: Measures) -> Finding | None:
    """Validation was still falling when training ended, or it hardly began, and there was something left to learn."""
    is_early = m.train_skill < at.FITTED_SKILL and m.validation_skill < at.GOOD_SKILL
    if not (_too_short(m) and is_early):
        return None
    count = len(m.course.epochs)
    text = (
        f"Training ended after {count} epochs while the validation loss was still falling "
        f"({m.recent_fall:.0%} over the last third). Longer training will help."
        if _still_falling(m) and count > 1
        else f"After {count} epoch{'' if count == 1 else 's'} the train loss is {loss_and_right(m, m.train)}: too "
        "little training to judge by."
    )
    margin = max(0.0, m.recent_fall / at.STILL_FALLING - 1)
    return Finding("undertrained", margin, text, ("recent_fall", "epochs", "train_skill"))


def overfitting(m: Measures) -> Finding | None:
    """A gap at the restored epoch, or a weak result because all later epochs only memorised."""
    is_gap = m.gap_ratio > at.OVERFIT_RATIO and m.gap_share > at.OVERFIT_SHARE and m.gap > at.NOISE * m.loss_error
    is_gap = is_gap and not (m.course.estimator == "random_forest" and m.validation_skill >= at.WEAK_SKILL)
    got_worse = m.rise_after_best > at.RISE_AFTER_BEST and m.train_fall_after_best > at.RISE_TRAIN_FALL
    if is_gap:
        text = (
            f"The {m.course.learner} knows its train samples better than others: loss {loss_and_right(m, m.train)} on "
            f"train, {loss_and_right(m, m.validation)} on validation."
        )
        margin = min(m.gap_share / at.OVERFIT_SHARE, m.gap_ratio / at.OVERFIT_RATIO) - 1
        return Finding("overfitting", margin, text + more_samples(m), ("loss_gap_ratio", "loss_gap_share"))
    if not (got_worse and m.validation_skill < at.WEAK_SKILL):
        return None
    text = (
        f"The best epoch was {m.course.best_epoch} of {len(m.course.epochs)}: afterwards the {m.course.learner} only "
        f"memorised its train samples, and the validation loss rose by {m.rise_after_best:.0%}."
    )
    margin = m.rise_after_best / at.RISE_AFTER_BEST - 1
    return Finding("overfitting", margin, text + more_samples(m), ("rise_after_best", "validation_skill"))


def underfitting(m: Measures) -> Finding | None:
    """Train itself is not fitted, and more epochs alone would not change it."""
    if m.train_skill >= at.UNDERFIT_SKILL:
        return None
    text = (
        f"The {m.course.learner} does not even fit its train samples (loss {loss_and_right(m, m.train)}) and has "
        "stopped improving: it has too little freedom, or too much regularisation."
    )
    return Finding("underfitting", (at.UNDERFIT_SKILL - m.train_skill) / 0.2, text, ("train_skill", "recent_fall"))


def good_fit(m: Measures) -> Finding:
    """Nothing else holds."""
    is_apart = m.gap_ratio > at.OVERFIT_RATIO and m.gap_share > at.OVERFIT_SHARE
    said = "are apart by no more than chance" if is_apart else "agree"
    text = (
        f"Train and validation {said}: loss {loss_text(m, m.train.loss)} and "
        f"{loss_and_right(m, m.validation)}; {baseline_alone(m)}."
    )
    if is_apart:
        text += f" More than {m.validation.samples} validation samples would tell."
    early = m.course.epochs[: at.PERFECT_EPOCHS][-1].validation_accuracy
    if m.course.is_network and early is not None and early >= at.PERFECT_ACCURACY:
        text += " It was so almost from the first epoch on: an easy problem, or a mark that gives the class away."
    room = [1 - m.gap_share / at.OVERFIT_SHARE, (m.train_skill - at.UNDERFIT_SKILL) / 0.2]
    return Finding("good_fit", max(0.0, min(room)), text, ("loss_gap_share", "train_skill", "validation_skill"))


def _exploded(course: Course, limit: float) -> bool:
    """Losses were above `limit` all along, or ended there after better ones, or nothing was learned after a shock."""
    train = [epoch.train_loss for epoch in course.epochs]
    validation = min(epoch.validation_loss for epoch in course.epochs)
    collapsed = train[-1] > limit and train[-1] > at.EXPLODED * min(train)
    unrecovered = max(train) > at.SHOCK * limit and validation > (1 - at.BETTER_SKILL) * limit / at.EXPLODED
    return (min(train) > limit and validation > limit) or collapsed or unrecovered


def _unstable(m: Measures, name: str, count: int) -> Finding | None:
    share = m.swinging(count)
    if count < at.LEAST_SWINGS or share <= at.SWINGING or m.validation_skill >= at.GOOD_SKILL:
        return None
    text = (
        f"The {name} loss swings: it rose and fell again {count} times in {len(m.course.epochs)} epochs. "
        "Smaller or steadier steps will help."
    )
    return Finding("unstable", share / at.SWINGING - 1, text, (f"{name}_swinging", "validation_skill"))


def _better_than_baseline(m: Measures) -> bool:
    saved = m.baseline.loss - m.validation.loss
    above = m.accuracy_above_baseline
    if m.course.is_regression:
        return m.validation_skill > max(at.BETTER_SKILL, at.NOISE**2 / m.validation.samples)
    return (above is not None and above > 0) or saved > max(at.BETTER_SKILL * m.baseline.loss, m.loss_error)


def _too_short(m: Measures) -> bool:
    if m.course.is_fitted_at_once:
        return False
    is_brief = len(m.course.epochs) <= at.FEW_EPOCHS and m.course.stopped_by != "early_stopping"
    return is_brief or _still_falling(m)


def _still_falling(m: Measures) -> bool:
    """Best validation and train loss both fall in the last third, and training had not stopped for standing still."""
    ended_at_best = m.course.best_epoch == len(m.course.epochs)
    is_unstopped = m.course.stopped_by != "early_stopping" or ended_at_best
    return is_unstopped and m.recent_fall > at.STILL_FALLING and m.recent_train_fall > at.STILL_FALLING / 2
