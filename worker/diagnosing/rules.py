"""One rule per verdict; the first that holds decides. `diagnosis.RULES` has their order and says why."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from service.specs.diagnosis import Verdict
from worker.diagnosing import thresholds as at
from worker.diagnosing.course import Course
from worker.diagnosing.measures import Measures, interval


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


MORE_SAMPLES = " More samples of each class would help most."
Rule = Callable[[Measures], Finding | None]


def uninformed_loss(course: Course) -> float:
    """The baseline's loss, or that of equal shares where it was never measured."""
    return course.baseline.loss if course.baseline else math.log(max(2, course.classes))


def diverged(course: Course) -> Finding | None:
    """A loss that is not finite, or that stayed or ended far above that of an uninformed answer."""
    limit = at.EXPLODED * uninformed_loss(course)
    losses = [epoch.train_loss for epoch in course.epochs]
    leading = ("non_finite_loss", "last_train_loss", "learning_rate")
    if course.problem == "diverged" or not all(math.isfinite(loss) for loss in losses):
        text = "Training diverged: a loss stopped being finite. The steps are too large for this network and its data."
        return Finding("diverged", math.inf, text, leading)
    if not losses or not _exploded(course, limit):
        return None
    text = (
        f"Training diverged: the train loss went up to {max(losses):.3g} and ended at {losses[-1]:.3g}, though knowing "
        f"nothing costs {uninformed_loss(course):.3g}. The steps are too large."
    )
    return Finding("diverged", max(losses) / limit - 1, text, leading)


def unstable(m: Measures) -> Finding | None:
    """The train loss itself swings, and the result is not good in spite of it."""
    return _unstable(m, "train", m.train_swings)


def unstable_on_validation(m: Measures) -> Finding | None:
    """Only the validation loss swings, by more than its noise."""
    return _unstable(m, "validation", m.validation_swings)


def leaking(m: Measures) -> Finding | None:
    """The figures are better than they can honestly be; only asked of a network that beats the baseline."""
    if not _better_than_baseline(m):
        return None
    low, spec = interval(m.validation)[0], m.course.spec
    if "leakage-suspected" in m.course.dataset_warnings and spec.split.strategy == "predefined":
        text = "Pictures occur in more than one split, so the scores are better than they should be."
        return Finding("leakage_suspected", 1.0, text, ("dataset_leakage_warning",))
    above_train, above_test = low - interval(m.train)[1], low - interval(m.course.test or m.validation)[1]
    if above_train > 0 or above_test > 0:
        other = "train" if above_train > 0 else "test"
        text = (
            f"The network is clearly better on validation than on {other}, which chance does not explain: "
            "validation may hold copies of train samples, or easier ones."
        )
        return Finding("leakage_suspected", 10 * max(above_train, above_test), text, (f"validation_above_{other}",))
    early = m.course.epochs[: at.PERFECT_EPOCHS][-1].validation_accuracy
    is_perfect = early >= at.PERFECT_ACCURACY and low >= at.PERFECT_LOWER_BOUND and m.validation_skill >= at.GOOD_SKILL
    if is_perfect and spec.network.weights == "none":
        text = (
            f"A network without pretrained weights had {early:.1%} of validation right after "
            f"{min(at.PERFECT_EPOCHS, len(m.course.epochs))} epochs. Either the problem is very easy, or something in "
            "the pictures gives the class away (a mark, a border, a camera): look at a few explanations."
        )
        margin = (low - at.PERFECT_LOWER_BOUND) / (1 - at.PERFECT_LOWER_BOUND)
        return Finding("leakage_suspected", margin, text, ("early_validation_accuracy",))
    return None


def not_better_than_baseline(m: Measures) -> Finding | None:
    """Validation is at chance and stays there.

    A network that has memorised train all the same is not called overfitting: regularising what carries no signal
    does not help, looking at the labels does.
    """
    if _better_than_baseline(m) or _too_short(m):
        return None
    lowest = min(m.train_losses) / m.baseline.loss
    text = (
        f"On validation the network is no better than always saying the commonest class "
        f"({m.validation.accuracy:.1%} right against {m.baseline.accuracy:.1%}). "
    )
    if lowest < at.MEMORISED:
        text += (
            "It can memorise its train samples, but nothing of that carries over: check that the labels are right "
            "and that the pictures show what they name, and add samples."
        )
    else:
        text += (
            "It has not learned its train samples either: it hardly moves, or the labels do not follow the pictures."
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
        else f"After {count} epoch{'' if count == 1 else 's'} {m.train.accuracy:.1%} of train are right at a loss of "
        f"{m.train.loss:.3f}: too little training to judge by."
    )
    margin = max(0.0, m.recent_fall / at.STILL_FALLING - 1)
    return Finding("undertrained", margin, text, ("recent_fall", "epochs", "train_skill"))


def overfitting(m: Measures) -> Finding | None:
    """A gap at the restored epoch, or a weak result because all later epochs only memorised."""
    is_gap = m.gap_ratio > at.OVERFIT_RATIO and m.gap_share > at.OVERFIT_SHARE and m.gap > at.NOISE * m.loss_error
    got_worse = m.rise_after_best > at.RISE_AFTER_BEST and m.train_fall_after_best > at.RISE_TRAIN_FALL
    if is_gap:
        text = (
            f"The network knows its train samples better than others: loss {m.train.loss:.3f} on train, "
            f"{m.validation.loss:.3f} on validation ({m.train.accuracy:.1%} against {m.validation.accuracy:.1%} right)."
        )
        margin = min(m.gap_share / at.OVERFIT_SHARE, m.gap_ratio / at.OVERFIT_RATIO) - 1
        return Finding("overfitting", margin, text + MORE_SAMPLES, ("loss_gap_ratio", "loss_gap_share"))
    if not (got_worse and m.validation_skill < at.WEAK_SKILL):
        return None
    text = (
        f"The best epoch was {m.course.best_epoch} of {len(m.course.epochs)}: afterwards the network only memorised "
        f"its train samples, and the validation loss rose by {m.rise_after_best:.0%}."
    )
    margin = m.rise_after_best / at.RISE_AFTER_BEST - 1
    return Finding("overfitting", margin, text + MORE_SAMPLES, ("rise_after_best", "validation_skill"))


def underfitting(m: Measures) -> Finding | None:
    """Train itself is not fitted, and more epochs alone would not change it."""
    if m.train_skill >= at.UNDERFIT_SKILL:
        return None
    text = (
        f"The network does not even fit its train samples ({m.train.accuracy:.1%} right, loss {m.train.loss:.3f}) and "
        "has stopped improving: it has too little freedom, or too much regularisation."
    )
    return Finding("underfitting", (at.UNDERFIT_SKILL - m.train_skill) / 0.2, text, ("train_skill", "recent_fall"))


def good_fit(m: Measures) -> Finding:
    """Nothing else holds."""
    is_apart = m.gap_ratio > at.OVERFIT_RATIO and m.gap_share > at.OVERFIT_SHARE
    said = "are apart by no more than chance" if is_apart else "agree"
    text = (
        f"Train and validation {said}: loss {m.train.loss:.3f} and {m.validation.loss:.3f}, "
        f"{m.validation.accuracy:.1%} of validation right; the commonest class alone gets {m.baseline.accuracy:.1%}."
    )
    if is_apart:
        text += f" More than {m.validation.samples} validation samples would tell."
    early = m.course.epochs[: at.PERFECT_EPOCHS][-1].validation_accuracy
    if early >= at.PERFECT_ACCURACY:
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
    return m.accuracy_above_baseline > 0 or saved > max(at.BETTER_SKILL * m.baseline.loss, m.loss_error)


def _too_short(m: Measures) -> bool:
    is_brief = len(m.course.epochs) <= at.FEW_EPOCHS and m.course.stopped_by != "early_stopping"
    return is_brief or _still_falling(m)


def _still_falling(m: Measures) -> bool:
    """Best validation and train loss both fall in the last third, and training had not stopped for standing still."""
    ended_at_best = m.course.best_epoch == len(m.course.epochs)
    is_unstopped = m.course.stopped_by != "early_stopping" or ended_at_best
    return is_unstopped and m.recent_fall > at.STILL_FALLING and m.recent_train_fall > at.STILL_FALLING / 2
