"""Measures in plain words: each says what it found, whichever verdict it speaks for."""

from collections.abc import Iterator

from service.specs.diagnosis import Evidence
from worker.diagnosing import thresholds as at
from worker.diagnosing.course import Course, Scores
from worker.diagnosing.measures import Measures, interval
from worker.diagnosing.wording import loss_text

STOPPED = {
    "epochs": "all epochs of the spec were used",
    "early_stopping": "validation had stopped improving",
    "pruner": "the trial was pruned",
    "limit": "the job's time was over",
}


def evidence_of(measures: Measures) -> dict[str, Evidence]:
    """Every measure that has something to say, by name."""
    parts = (_fit(measures), _gap(measures), _trend(measures), _swings(measures), _trust(measures))
    return {evidence.measure: evidence for part in parts for evidence in part}


def explosion(course: Course, uninformed: float | None) -> list[Evidence]:
    """What a diverged course shows; it need not have scores."""
    found = []
    if course.problem == "diverged":
        found.append(_say("non_finite_loss", 1.0, 0.0, "A loss stopped being a finite number, which ended the trial."))
    if course.epochs:
        last = course.epochs[-1].train_loss
        known = "" if uninformed is None else f"; knowing nothing costs {uninformed:.4g}"
        limit = None if uninformed is None else at.EXPLODED * uninformed
        found.append(_say("last_train_loss", last, limit, f"The last epoch's train loss is {last:.4g}{known}."))
    if course.learning_rate is not None:
        optimizer = f" with {course.spec.training.optimizer}" if course.is_network else ""
        text = f"The learning rate is {course.learning_rate:g}{optimizer}."
        found.append(_say("learning_rate", course.learning_rate, None, text))
    return [*found, _length(course)]


def _fit(m: Measures) -> Iterator[Evidence]:
    known = f"knowing nothing costs {loss_text(m, m.baseline.loss)}"
    right = "" if m.train.accuracy is None else f", {m.train.accuracy:.1%} right"
    text = f"Train loss is {loss_text(m, m.train.loss)} without augmentation{right}; {known}."
    yield _say("train_skill", m.train_skill, at.UNDERFIT_SKILL, text)
    text = f"Validation loss is {loss_text(m, m.validation.loss)}; {known}."
    yield _say("validation_skill", m.validation_skill, at.BETTER_SKILL, text)
    accuracies, above = interval(m.validation), m.accuracy_above_baseline
    if accuracies is not None and above is not None:
        text = (
            f"{m.validation.accuracy:.1%} of {m.validation.samples} validation samples are right (95 % interval "
            f"{accuracies[0]:.1%} to {accuracies[1]:.1%}); always saying the commonest class gets "
            f"{m.baseline.accuracy:.1%}."
        )
        yield _say("validation_accuracy_above_baseline", above, 0.0, text)
    lowest = min(m.train_losses)
    share = _percent(lowest / m.baseline.loss)
    text = f"The lowest train loss of any epoch is {loss_text(m, lowest)}: {share} of the baseline's."
    yield _say("lowest_train_loss_share", lowest / m.baseline.loss, at.MEMORISED, text)


def _gap(m: Measures) -> Iterator[Evidence]:
    validation, train = loss_text(m, m.validation.loss), loss_text(m, m.train.loss)
    sides = f"validation {validation}, train {train} at the best epoch, both as they are"
    yield _say("loss_gap_ratio", m.gap_ratio, at.OVERFIT_RATIO, f"The loss gap in parts of the train loss: {sides}.")
    text = f"The loss gap in parts of the baseline's loss; its noise is about {m.loss_error / m.baseline.loss:.3f}."
    yield _say("loss_gap_share", m.gap_share, at.OVERFIT_SHARE, text)
    if m.course.parameters:
        per_sample = m.course.parameters / m.train.samples
        text = (
            f"The network has {m.course.parameters:,} weights for {m.train.samples:,} train samples that were scored."
        )
        yield _say("weights_per_train_sample", per_sample, None, text)


def _trend(m: Measures) -> Iterator[Evidence]:
    side = "below" if m.recent_fall >= 0 else "above"
    text = (
        f"The best validation loss of the last third of the epochs lies {_percent(abs(m.recent_fall))} {side} that of "
        "the epochs before."
    )
    if len(m.course.epochs) == 1:
        text = "There is one epoch only, and no trend to be seen."
    yield _say("recent_fall", m.recent_fall, at.STILL_FALLING, text)
    if m.course.best_epoch and m.course.best_epoch < len(m.course.epochs):
        text = (
            f"After the best epoch ({m.course.best_epoch}) the validation loss "
            f"{_changed(-m.rise_after_best)} while the train loss {_changed(m.train_fall_after_best)}; "
            "these epochs were discarded."
        )
        yield _say("rise_after_best", m.rise_after_best, at.RISE_AFTER_BEST, text)
    yield _length(m.course)


def _swings(m: Measures) -> Iterator[Evidence]:
    for name, count in (("train", m.train_swings), ("validation", m.validation_swings)):
        text = f"The {name} loss rose and fell again by more than chance {count} time{'' if count == 1 else 's'}."
        yield _say(f"{name}_swinging", m.swinging(count), at.SWINGING, text)


def _trust(m: Measures) -> Iterator[Evidence]:
    if "leakage-suspected" in m.course.dataset_warnings:
        yield _say("dataset_leakage_warning", 1.0, 0.0, _leak(m.course))
    early = m.course.epochs[: at.PERFECT_EPOCHS][-1].validation_accuracy
    if m.course.estimator is None and early is not None and early >= at.PERFECT_ACCURACY:
        start = "its pretrained weights" if m.course.spec.network.weights == "pretrained" else "random weights"
        text = f"From {start} the network had {early:.1%} of validation right after {at.PERFECT_EPOCHS} epochs at most."
        yield _say("early_validation_accuracy", early, at.PERFECT_ACCURACY, text)
    for name, other in (("train", m.train), ("test", m.course.test)):
        above = m.above(other) if other else -1.0
        if other is not None and above > 0:
            yield _say(f"validation_above_{name}", above, 0.0, _above(m, name, other))


def _leak(course: Course) -> str:
    if course.estimator is not None:
        return "A column of the dataset almost decides the target by itself."
    if course.spec.split.strategy == "predefined":
        return "Identical pictures lie in more than one folder of the predefined split."
    return "The archive's own folders share pictures, but this job dealt its split anew and kept copies together."


def _above(m: Measures, name: str, other: Scores) -> str:
    mine, theirs = interval(m.validation), interval(other)
    if mine is not None and theirs is not None:
        high = f"{name} accuracy at most {theirs[1]:.1%}"
        return f"Validation accuracy is at least {mine[0]:.1%}, {high} (95 % intervals)."
    losses = f"{loss_text(m, m.validation.loss)} on validation, {loss_text(m, other.loss)} on {name}"
    return f"The loss is {losses}, which lies beyond {at.LEAK_NOISE:g} standard errors."


def _length(course: Course) -> Evidence:
    count = len(course.epochs)
    why = STOPPED.get(course.stopped_by or "", "the trial failed" if course.problem else "it is not known why it ended")
    text = f"{count} epoch{'' if count == 1 else 's'}; {why}."
    return _say("epochs", float(count), float(course.spec.training.epochs), text)


def _say(measure: str, value: float, threshold: float | None, comment: str) -> Evidence:
    limit = None if threshold is None else _rounded(threshold)
    return Evidence(measure=measure, value=_rounded(value), threshold=limit, comment=comment)


def _rounded(value: float) -> float:
    """To six places, or to six digits where that is finer, as with errors in small units."""
    return round(value, 6) if abs(value) >= 1 else float(f"{value:.6g}")


def _changed(fall: float) -> str:
    return f"fell by {_percent(fall)}" if fall > 0 else f"rose by {_percent(-fall)}" if fall < 0 else "stayed"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
