"""Single changes of a job spec, as merge patches on the spec that was trained; None where there is nothing to change.

What each does to a network's effective capacity: Goodfellow et al. 2016, section 11.4.1, table 11.1.
"""

from collections.abc import Callable
from typing import Any

from service.specs.augmentation import Augmentation, Policy
from service.specs.estimators import MlpSpec
from service.specs.jobs import BackboneSpec
from worker.diagnosing.course import Course
from worker.diagnosing.estimator_changes import freed
from worker.diagnosing.thresholds import IMBALANCED

Patch = dict[str, Any]
Change = Callable[[Course], Patch | None]

FIRMER: dict[Policy, Augmentation] = {
    "none": Augmentation(policy="light"),
    # As `light`, without flips: whoever chose it may have letters or signs.
    "light": Augmentation(random_resized_crop=0.6, rotation_degrees=12.0, random_erasing=0.25, mixup_alpha=0.2),
    "standard": Augmentation(policy="strong"),
}
FIRMER_OF_TEXTS: dict[Policy, Policy] = {"none": "light", "light": "standard", "standard": "strong"}
STRONG_TRANSFORMS = ("random_erasing", "trivial_augment", "mixup_alpha", "cutmix_alpha")
HIGHEST_RATE = {"adamw": 0.01, "adam": 0.01, "sgd": 0.1}
LEAST_RATE = 1e-6
HIGHEST_BOOSTING_RATE, LEAST_BOOSTING_RATE = 0.5, 0.01
MOST_EPOCHS, MOST_SECONDS, MOST_BATCH = 1000, 7 * 24 * 3600, 4096
STRONG_DECAY, STRONG_DROPOUT = 0.1, 0.5


def stronger_augmentation(course: Course) -> Patch | None:
    """The next policy up; beside explicit transforms of images, erasing and mixup. With time to learn from it."""
    augmentation = course.spec.augmentation
    firmer: Augmentation | None
    if course.spec.problem == "text_classification":
        policy = FIRMER_OF_TEXTS.get(augmentation.policy) if augmentation.policy else None
        firmer = Augmentation(policy=policy) if policy else None
    elif course.inputs != "pictures":
        return None
    elif augmentation.policy is not None:
        firmer = FIRMER.get(augmentation.policy)
    else:
        firmer = augmentation.model_copy(
            update={
                "random_erasing": augmentation.random_erasing or 0.25,
                "mixup_alpha": augmentation.mixup_alpha or 0.2,
            }
        )
    if firmer is None or firmer == augmentation:
        return None
    longer = train_longer(course) if course.stopped_by == "epochs" else None
    return {"augmentation": firmer.model_dump()} | (longer or {})


def more_dropout(course: Course) -> Patch | None:
    """0.3 more, up to 0.6."""
    where, part = _with_dropout(course)
    if part is None or part.dropout >= STRONG_DROPOUT:
        return None
    return {where: {"dropout": round(min(0.6, part.dropout + 0.3), 2)}}


def more_weight_decay(course: Course) -> Patch | None:
    """Ten times as much, 0.05 at least."""
    decay = course.spec.training.weight_decay
    if not course.is_network or decay >= STRONG_DECAY:
        return None
    return {"training": {"weight_decay": max(0.05, decay * 10)}}


def label_smoothing(course: Course) -> Patch | None:
    """0.1 (Szegedy et al. 2016)."""
    if not course.is_network or course.is_regression or course.spec.training.label_smoothing >= 0.1:
        return None
    return {"training": {"label_smoothing": 0.1}}


def train_longer(course: Course) -> Patch | None:
    """Twice the epochs, ten at least; or four times the time where time ended training."""
    if course.is_fitted_at_once:
        return None
    limits, training = course.spec.limits, course.spec.training
    if course.stopped_by == "limit":
        return {"limits": {"wall_seconds": min(MOST_SECONDS, limits.wall_seconds * 4)}}
    return {"training": {"epochs": min(MOST_EPOCHS, max(10, training.epochs * 2))}}


def higher_learning_rate(course: Course) -> Patch | None:
    """Ten times, up to what the optimizer usually bears; of boosting three times."""
    rate, highest = course.learning_rate, highest_rate(course)
    if rate is None or rate >= highest or course.is_fitted_at_once:
        return None
    return _rates(course, min((10 if course.is_network else 3) * rate, highest))


def lower_learning_rate(course: Course) -> Patch | None:
    """A tenth, or the usual rate from far above it; a tenth of the usual rate where none is known.

    That is so where the rate was `auto` and the trial did not see the end of its first epoch. Of boosting a third,
    with three times the rounds.
    """
    rate, highest = course.learning_rate, highest_rate(course)
    if course.is_fitted_at_once:
        return None
    if rate is None:
        return _rates(course, highest / 100)
    if course.is_network:
        return _rates(course, min(rate, highest) / 10) if rate > LEAST_RATE else None
    if rate <= LEAST_BOOSTING_RATE:
        return None
    rounds = {"epochs": min(MOST_EPOCHS, 3 * course.spec.training.epochs)}
    return {"training": _rates(course, min(rate, highest) / 3)["training"] | rounds}


def highest_rate(course: Course) -> float:
    """What the optimizer usually bears; above half a step boosting hardly learns better from the next tree."""
    return HIGHEST_RATE[course.spec.training.optimizer] if course.is_network else HIGHEST_BOOSTING_RATE


def less_regularisation(course: Course) -> Patch | None:
    """Back to the defaults where regularisation is strong."""
    training, backbone, augmentation = course.spec.training, course.spec.backbone, course.spec.augmentation
    patch: Patch = {}
    if backbone and backbone.dropout >= STRONG_DROPOUT:
        patch["backbone"] = {"dropout": 0.2}
    if course.spec.estimator:
        fields = freed(course.spec.estimator)
        patch |= {"estimator": fields} if fields else {}
    if not course.is_network:
        return patch or None
    if training.weight_decay >= STRONG_DECAY:
        patch.setdefault("training", {})["weight_decay"] = 0.01
    if training.label_smoothing > 0.1 and not course.is_regression:
        patch.setdefault("training", {})["label_smoothing"] = 0.0
    milder = _milder(augmentation)
    if milder is not None:
        patch["augmentation"] = milder.model_dump()
    return patch or None


def gradient_clipping(course: Course) -> Patch | None:
    """Norm 1."""
    norm = course.spec.training.gradient_clip_norm
    if not course.is_network or (norm is not None and norm <= 1.0):
        return None
    return {"training": {"gradient_clip_norm": 1.0}}


def warm_up(course: Course) -> Patch | None:
    """A tenth of the epochs."""
    training = course.spec.training
    if not course.is_network or training.warmup_epochs or training.epochs < 2:
        return None
    return {"training": {"warmup_epochs": max(1, training.epochs // 10)}}


def larger_batch(course: Course) -> Patch | None:
    """Twice the size, while four batches remain."""
    size, samples = course.spec.training.batch_size, course.train.samples if course.train else 0
    fits = course.is_network and isinstance(size, int) and 2 * size <= min(MOST_BATCH, samples // 4)
    return {"training": {"batch_size": 2 * size}} if fits else None


def class_weights(course: Course) -> Patch | None:
    """Where the commonest class is at least twice as common as an equal share."""
    commonest = course.baseline.accuracy if course.baseline else None
    share = (commonest or 0.0) * course.classes
    return {"training": {"class_weights": "balanced"}} if share >= IMBALANCED else None


def stratified_split(course: Course) -> Patch | None:
    """Instead of the archive's own folders."""
    return {"split": {"strategy": "stratified"}} if course.spec.split.strategy == "predefined" else None


def _milder(augmentation: Augmentation) -> Augmentation | None:
    if augmentation.policy is not None:
        return Augmentation(policy="standard") if augmentation.policy == "strong" else None
    calm = augmentation.model_copy(update=dict.fromkeys(STRONG_TRANSFORMS))
    if calm == augmentation:
        return None
    return calm if any(value is not None for value in calm.transforms().values()) else Augmentation(policy="none")


def _with_dropout(course: Course) -> tuple[str, BackboneSpec | MlpSpec | None]:
    """The part of the spec that has a dropout, by its name."""
    if isinstance(course.spec.estimator, MlpSpec):
        return "estimator", course.spec.estimator
    return "backbone", course.spec.backbone


def _rates(course: Course, rate: float) -> Patch:
    """The head's rate, and the backbone's in proportion; a tenth of it where the head's was not known."""
    patch: Patch = {"learning_rate": _short(rate)}
    of_backbone = course.spec.training.backbone_learning_rate
    if of_backbone is not None:
        patch["backbone_learning_rate"] = _short(of_backbone * rate / (course.learning_rate or 10 * rate))
    return {"training": patch}


def _short(number: float) -> float:
    return float(f"{number:.3g}")
