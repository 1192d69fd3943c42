"""Single changes of the backbone of images or texts, as `worker.diagnosing.changes`; None where there is none."""

from typing import Any

from service.specs.backbones import CATALOGUE, DEFAULT_IMAGE_BACKBONE, Backbone, entries_for
from worker.diagnosing.course import Course

Patch = dict[str, Any]
MOST_DROPPED = 0.5
LAYERS = ("head", "last_stage", "all")


def train_fewer_layers(course: Course) -> Patch | None:
    """All → last stage → head, of a pretrained backbone."""
    backbone = course.spec.backbone
    if backbone is None or backbone.weights != "pretrained" or backbone.trainable == "head":
        return None
    return {"backbone": {"trainable": "head" if backbone.trainable == "last_stage" else "last_stage"}}


def more_stochastic_depth(course: Course) -> Patch | None:
    """0.2 more, up to 0.5 (the rate of Huang et al. 2016), of a backbone whose trained blocks have branches to drop."""
    backbone = course.spec.backbone
    if backbone is None:
        return None
    builders = CATALOGUE[backbone.name].stochastic_depth
    rate = builders if backbone.stochastic_depth is None else backbone.stochastic_depth
    if builders is None or rate is None or rate >= MOST_DROPPED or backbone.trainable == "head":
        return None
    return {"backbone": {"stochastic_depth": round(min(MOST_DROPPED, rate + 0.2), 2)}}


def decay_lower_layers(course: Course) -> Patch | None:
    """0.75 a layer (Bao et al. 2021), where all of a pretrained backbone learns at one rate."""
    backbone, decay = course.spec.backbone, course.spec.training.layer_decay
    if backbone is None or backbone.weights != "pretrained" or backbone.trainable != "all" or decay not in (None, 1.0):
        return None
    return {"training": {"layer_decay": 0.75}}


def train_more_layers(course: Course) -> Patch | None:
    """Head → last stage → all; of an untrained backbone all at once."""
    backbone = course.spec.backbone
    if backbone is None or backbone.trainable not in LAYERS[:-1]:
        return None
    trainable, is_random = backbone.trainable, backbone.weights == "none"
    return {"backbone": {"trainable": "all" if is_random else LAYERS[LAYERS.index(trainable) + 1]}}


def pretrained_weights(course: Course) -> Patch | None:
    """The same backbone from ImageNet."""
    backbone = course.spec.backbone
    if backbone and backbone.weights == "none" and backbone.name in course.pretrained_at_hand:
        return {"backbone": {"weights": "pretrained", "trainable": "all"}}
    return None


def smaller_backbone(course: Course) -> Patch | None:
    """The largest one of at most half the weights; the built-in ones are the smallest."""
    if course.spec.backbone is None:
        return None
    here = CATALOGUE[course.spec.backbone.name]
    if here.source == "builtin":
        return None
    smaller = [entry for entry in _exchangeable(course) if 2 * entry.parameters <= here.parameters]
    return _exchange(max(smaller, key=_size)) if smaller else None


def larger_backbone(course: Course) -> Patch | None:
    """The smallest one of at least twice the weights; after a built-in one the default, with its weights."""
    if course.spec.backbone is None:
        return None
    here = CATALOGUE[course.spec.backbone.name]
    if here.source == "builtin":
        if DEFAULT_IMAGE_BACKBONE not in course.pretrained_at_hand:
            return {"backbone": {"name": "small_cnn"}} if here.name == "simple_nn" else None
        return {
            "backbone": {"name": DEFAULT_IMAGE_BACKBONE, "weights": None, "trainable": "all"},
            "training": {"image_size": None},
        }
    larger = [entry for entry in _exchangeable(course) if entry.parameters >= 2 * here.parameters]
    return _exchange(min(larger, key=_size)) if larger else None


def _exchangeable(course: Course) -> list[Backbone]:
    """Backbones that could stand in for this one, with the weights that it began from, at any image size."""
    backbone = course.spec.network
    pretrained = backbone.weights == "pretrained"
    return [
        entry
        for entry in entries_for(CATALOGUE[backbone.name].problem)
        if not entry.fixed_input_size and (entry.name in course.pretrained_at_hand if pretrained else True)
    ]


def _exchange(entry: Backbone) -> Patch:
    return {"backbone": {"name": entry.name}}


def _size(entry: Backbone) -> int:
    return entry.parameters
