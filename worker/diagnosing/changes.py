"""Single changes of a job spec, as merge patches on the spec that was trained; None where there is nothing to change.

What each does to a network's effective capacity: Goodfellow et al. 2016, section 11.4.1, table 11.1.
"""

from collections.abc import Callable
from typing import Any

from service.specs.augmentation import Augmentation, Policy
from service.specs.backbones import CATALOGUE, DEFAULT_IMAGE_BACKBONE, Backbone
from worker.diagnosing.course import Course
from worker.diagnosing.thresholds import IMBALANCED

Patch = dict[str, Any]
Change = Callable[[Course], Patch | None]

FIRMER: dict[Policy, Augmentation] = {
    "none": Augmentation(policy="light"),
    # As `light`, without flips: whoever chose it may have letters or signs.
    "light": Augmentation(random_resized_crop=0.6, rotation_degrees=12.0, random_erasing=0.25, mixup_alpha=0.2),
    "standard": Augmentation(policy="strong"),
}
STRONG_TRANSFORMS = ("random_erasing", "trivial_augment", "mixup_alpha", "cutmix_alpha")
LAYERS = ("head", "last_stage", "all")
HIGHEST_RATE = {"adamw": 0.01, "adam": 0.01, "sgd": 0.1}
LEAST_RATE = 1e-6
MOST_EPOCHS, MOST_SECONDS, MOST_BATCH = 1000, 7 * 24 * 3600, 4096
STRONG_DECAY, STRONG_DROPOUT, MOST_DROPPED = 0.1, 0.5, 0.5


def stronger_augmentation(course: Course) -> Patch | None:
    """The next policy up; beside explicit transforms, erasing and mixup. With time to learn from it."""
    augmentation = course.spec.augmentation
    if augmentation.policy is not None:
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
    longer = train_longer(course) if course.stopped_by == "epochs" else {}
    return {"augmentation": firmer.model_dump()} | longer


def more_dropout(course: Course) -> Patch | None:
    """0.3 more, up to 0.6."""
    dropout = course.spec.network.dropout
    return {"backbone": {"dropout": round(min(0.6, dropout + 0.3), 2)}} if dropout < STRONG_DROPOUT else None


def more_weight_decay(course: Course) -> Patch | None:
    """Ten times as much, 0.05 at least."""
    decay = course.spec.training.weight_decay
    return {"training": {"weight_decay": max(0.05, decay * 10)}} if decay < STRONG_DECAY else None


def label_smoothing(course: Course) -> Patch | None:
    """0.1 (Szegedy et al. 2016)."""
    return {"training": {"label_smoothing": 0.1}} if course.spec.training.label_smoothing < 0.1 else None


def train_fewer_layers(course: Course) -> Patch | None:
    """All → last stage → head, of a pretrained backbone."""
    backbone = course.spec.network
    if backbone.weights != "pretrained" or backbone.trainable == "head":
        return None
    return {"backbone": {"trainable": "head" if backbone.trainable == "last_stage" else "last_stage"}}


def more_stochastic_depth(course: Course) -> Patch | None:
    """0.2 more, up to 0.5 (the rate of Huang et al. 2016), of a backbone whose trained blocks have branches to drop."""
    backbone = course.spec.network
    builders = CATALOGUE[backbone.name].stochastic_depth
    rate = builders if backbone.stochastic_depth is None else backbone.stochastic_depth
    if builders is None or rate is None or rate >= MOST_DROPPED or backbone.trainable == "head":
        return None
    return {"backbone": {"stochastic_depth": round(min(MOST_DROPPED, rate + 0.2), 2)}}


def decay_lower_layers(course: Course) -> Patch | None:
    """0.75 a layer (Bao et al. 2021), where all of a pretrained backbone learns at one rate."""
    backbone, decay = course.spec.network, course.spec.training.layer_decay
    if backbone.weights != "pretrained" or backbone.trainable != "all" or decay not in (None, 1.0):
        return None
    return {"training": {"layer_decay": 0.75}}


def train_more_layers(course: Course) -> Patch | None:
    """Head → last stage → all; of an untrained backbone all at once."""
    trainable = course.spec.network.trainable
    if trainable not in LAYERS[:-1]:
        return None
    is_random = course.spec.network.weights == "none"
    return {"backbone": {"trainable": "all" if is_random else LAYERS[LAYERS.index(trainable) + 1]}}


def pretrained_weights(course: Course) -> Patch | None:
    """The same backbone from ImageNet."""
    name = course.spec.network.name
    if course.spec.network.weights == "none" and name in course.pretrained_at_hand:
        return {"backbone": {"weights": "pretrained", "trainable": "all"}}
    return None


def smaller_backbone(course: Course) -> Patch | None:
    """The largest one of at most half the weights; the built-in ones are the smallest."""
    here = CATALOGUE[course.spec.network.name]
    if here.source == "builtin":
        return None
    smaller = [entry for entry in _exchangeable(course) if 2 * entry.parameters <= here.parameters]
    return _exchange(max(smaller, key=_size)) if smaller else None


def larger_backbone(course: Course) -> Patch | None:
    """The smallest one of at least twice the weights; after a built-in one the default, with its weights."""
    here = CATALOGUE[course.spec.network.name]
    if here.source == "builtin":
        if DEFAULT_IMAGE_BACKBONE not in course.pretrained_at_hand:
            return {"backbone": {"name": "small_cnn"}} if here.name == "simple_nn" else None
        return {
            "backbone": {"name": DEFAULT_IMAGE_BACKBONE, "weights": None, "trainable": "all"},
            "training": {"image_size": None},
        }
    larger = [entry for entry in _exchangeable(course) if entry.parameters >= 2 * here.parameters]
    return _exchange(min(larger, key=_size)) if larger else None


def train_longer(course: Course) -> Patch:
    """Twice the epochs, ten at least; or four times the time where time ended training."""
    limits, training = course.spec.limits, course.spec.training
    if course.stopped_by == "limit":
        return {"limits": {"wall_seconds": min(MOST_SECONDS, limits.wall_seconds * 4)}}
    return {"training": {"epochs": min(MOST_EPOCHS, max(10, training.epochs * 2))}}


def higher_learning_rate(course: Course) -> Patch | None:
    """Ten times, up to what the optimizer usually bears."""
    rate, highest = course.learning_rate, HIGHEST_RATE[course.spec.training.optimizer]
    return _rates(course, min(10 * rate, highest)) if rate is not None and rate < highest else None


def lower_learning_rate(course: Course) -> Patch | None:
    """A tenth, or the usual rate from far above it; a tenth of the usual rate where none is known.

    That is so where the rate was `auto` and the trial did not see the end of its first epoch.
    """
    rate, highest = course.learning_rate, HIGHEST_RATE[course.spec.training.optimizer]
    if rate is None:
        return _rates(course, highest / 100)
    return _rates(course, min(rate, highest) / 10) if rate > LEAST_RATE else None


def less_regularisation(course: Course) -> Patch | None:
    """Back to the defaults where regularisation is strong."""
    training, backbone, augmentation = course.spec.training, course.spec.network, course.spec.augmentation
    patch: Patch = {}
    if backbone.dropout >= STRONG_DROPOUT:
        patch["backbone"] = {"dropout": 0.2}
    if training.weight_decay >= STRONG_DECAY:
        patch.setdefault("training", {})["weight_decay"] = 0.01
    if training.label_smoothing > 0.1:
        patch.setdefault("training", {})["label_smoothing"] = 0.0
    milder = _milder(augmentation)
    if milder is not None:
        patch["augmentation"] = milder.model_dump()
    return patch or None


def gradient_clipping(course: Course) -> Patch | None:
    """Norm 1."""
    norm = course.spec.training.gradient_clip_norm
    return {"training": {"gradient_clip_norm": 1.0}} if norm is None or norm > 1.0 else None


def warm_up(course: Course) -> Patch | None:
    """A tenth of the epochs."""
    training = course.spec.training
    if training.warmup_epochs or training.epochs < 2:
        return None
    return {"training": {"warmup_epochs": max(1, training.epochs // 10)}}


def larger_batch(course: Course) -> Patch | None:
    """Twice the size, while four batches remain."""
    size, samples = course.spec.training.batch_size, course.train.samples if course.train else 0
    fits = isinstance(size, int) and 2 * size <= min(MOST_BATCH, samples // 4)
    return {"training": {"batch_size": 2 * size}} if fits else None


def class_weights(course: Course) -> Patch | None:
    """Where the commonest class is at least twice as common as an equal share."""
    share = course.baseline.accuracy * course.classes if course.baseline else 0.0
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


def _rates(course: Course, rate: float) -> Patch:
    """The head's rate, and the backbone's in proportion; a tenth of it where the head's was not known."""
    patch: Patch = {"learning_rate": _short(rate)}
    of_backbone = course.spec.training.backbone_learning_rate
    if of_backbone is not None:
        patch["backbone_learning_rate"] = _short(of_backbone * rate / (course.learning_rate or 10 * rate))
    return {"training": patch}


def _short(number: float) -> float:
    return float(f"{number:.3g}")


def _exchangeable(course: Course) -> list[Backbone]:
    """Backbones that could stand in for this one, with the weights that it began from, at any image size."""
    pretrained = course.spec.network.weights == "pretrained"
    return [
        entry
        for entry in CATALOGUE.values()
        if not entry.fixed_input_size and (entry.name in course.pretrained_at_hand if pretrained else True)
    ]


def _exchange(entry: Backbone) -> Patch:
    return {"backbone": {"name": entry.name}}


def _size(entry: Backbone) -> int:
    return entry.parameters
