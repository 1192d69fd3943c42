"""Every patch makes another valid spec of the job's; what would change nothing is not offered."""

import re
from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest

from service.specs.backbones import CATALOGUE
from service.specs.diagnosis import Verdict
from service.specs.jobs import JobSpec
from service.specs.merge_patch import merge_patch
from service.specs.resolving import DatasetFacts, resolve
from tests.worker.diagnosing.courses import request, synthetic_courses
from tests.worker.diagnosing.unending import unending_remedies
from worker.diagnosing import backbone_changes, changes
from worker.diagnosing.course import Course, Scores
from worker.diagnosing.diagnosis import diagnose
from worker.diagnosing.kinds import KINDS
from worker.diagnosing.measures import Measures
from worker.diagnosing.remedies import AGAINST, AGAINST_MEMORISING, remedies_for

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
COURSE = next(course for family, _, course in synthetic_courses() if family == "underfitting_capacity")
MAXIMAL: dict[str, Any] = {
    "backbone": {"name": "convnext_small", "trainable": "head", "dropout": 0.9},
    "augmentation": {"policy": "strong"},
    "training": {"epochs": 1000, "learning_rate": 100.0, "weight_decay": 10.0, "label_smoothing": 0.9,
                 "warmup_epochs": 5, "gradient_clip_norm": 0.1, "batch_size": 4096, "class_weights": "balanced"},
}  # fmt: skip
MINIMAL: dict[str, Any] = {
    "backbone": {"name": "simple_nn", "dropout": 0.0},
    "augmentation": {"policy": "none"},
    "training": {"epochs": 1, "learning_rate": 1e-7, "weight_decay": 0.0, "gradient_clip_norm": None, "batch_size": 2},
}
EXPLICIT: dict[str, Any] = {
    "augmentation": {"rotation_degrees": 5.0, "mixup_alpha": 1.0},
    "backbone": {"name": "resnet50", "weights": "none", "trainable": "gradual"},
    "training": {"optimizer": "sgd", "learning_rate": 0.5},
}
SPECS = (request(), request(**MAXIMAL), request(**MINIMAL), request(**EXPLICIT))


def patched(spec: JobSpec, patch: dict[str, Any]) -> JobSpec:
    return resolve(JobSpec.model_validate(merge_patch(spec.model_dump(), patch)), DatasetFacts(median_side=96))


def offered(verdict: Verdict, spec: JobSpec, **more: Any) -> dict[str, Any]:
    course = replace(COURSE, spec=spec, **{"job_spec": spec, **more})
    return {remedy.id: remedy.patch for remedy in remedies_for(verdict, course, Measures.of(course))}


@pytest.mark.parametrize(("verdict", "spec"), [*product(VERDICTS, SPECS)])
def test_patches_are_valid_and_change_something(verdict: Verdict, spec: JobSpec) -> None:
    for name, patch in offered(verdict, spec).items():
        made = patched(spec, patch)
        assert made != spec, name
        assert (made.dataset_id, made.seed) == (spec.dataset_id, spec.seed)


@pytest.mark.parametrize("spec", SPECS)
def test_a_remedy_leads_on_or_stops(spec: JobSpec) -> None:
    """Taken again and again, every remedy comes to where it is no longer offered."""
    assert unending_remedies(spec, offered, patched) == []


def test_advice_is_in_words_for_any_samples() -> None:
    """Tables and texts get it too."""
    for kind in KINDS.values():
        assert not re.search("picture|image", f"{kind.title} {kind.rationale}", re.IGNORECASE)


def test_marks_are_those_that_the_samples_may_have() -> None:
    course = next(course for family, _, course in synthetic_courses() if family == "leaking_mark")
    asked = {"dataset_id": "ds_x", "backbone": {"name": "bert-base-uncased", "weights": "none"}}
    spec = resolve(JobSpec.model_validate(asked), DatasetFacts(("text_classification",), 600))
    assert "a camera" in diagnose(course).summary
    assert "in the texts gives the class away (a name" in diagnose(replace(course, spec=spec, job_spec=spec)).summary


def test_what_is_at_its_end_is_dropped() -> None:
    assert set(offered("overfitting", request(**MAXIMAL))) == {"smaller-backbone"}
    assert "train-more-layers" not in offered("underfitting", request())
    assert "higher-learning-rate" not in offered("underfitting", request(**MAXIMAL))
    assert offered("good_fit", request()) == {}


def test_all_learning_rates_move_together() -> None:
    spec = request(training={"learning_rate": 0.01, "backbone_learning_rate": 0.001})
    patch = offered("diverged", spec)["lower-learning-rate"]
    assert patch == {"training": {"learning_rate": 0.001, "backbone_learning_rate": 0.0001}}


def test_a_learning_rate_that_was_left_open_is_the_one_that_was_used() -> None:
    training = COURSE.spec.training.model_copy(update={"learning_rate": "auto", "backbone_learning_rate": None})
    course = replace(COURSE, spec=COURSE.spec.model_copy(update={"training": training}))
    assert course.learning_rate == 0.001
    assert changes.lower_learning_rate(course) == {"training": {"learning_rate": 0.0001}}
    assert replace(course, epochs=()).learning_rate is None


@pytest.mark.parametrize(
    ("training", "patch"),
    [
        ({}, {"learning_rate": 0.0001}),
        ({"optimizer": "sgd"}, {"learning_rate": 0.001}),
        ({"backbone_learning_rate": 0.01}, {"learning_rate": 0.0001, "backbone_learning_rate": 0.001}),
    ],
)
def test_a_rate_that_was_found_and_diverged_at_once_is_replaced_by_a_low_one(
    training: dict[str, Any], patch: dict[str, Any]
) -> None:
    spec = request(training={"learning_rate": "auto", **training})
    course = Course(spec, spec, (), 2, problem="diverged")
    first = remedies_for("diverged", course, None)[0]
    assert (first.id, first.patch) == ("lower-learning-rate", {"training": patch})


def test_whoever_avoids_flips_is_not_given_any() -> None:
    patch = offered("overfitting", request(augmentation={"policy": "light"}))["stronger-augmentation"]
    made = JobSpec.model_validate(merge_patch(request(augmentation={"policy": "light"}).model_dump(), patch))
    assert not made.augmentation.horizontal_flip
    assert made.augmentation.policy is None


def of_texts(**changes: Any) -> Course:
    spec = request(problem="text_classification", backbone={"name": "distilbert-base-uncased"}, **changes)
    return replace(COURSE, spec=spec, job_spec=spec)


def test_texts_are_offered_changes_of_texts_and_text_backbones() -> None:
    for policy, firmer in {"none": "light", "light": "standard", "standard": "strong"}.items():
        patch = changes.stronger_augmentation(of_texts(augmentation={"policy": policy}))
        assert patch is not None
        assert {key: value for key, value in patch["augmentation"].items() if value is not None} == {"policy": firmer}
    assert changes.stronger_augmentation(of_texts(augmentation={"random_swap": 0.1})) is None

    every = replace(of_texts(), pretrained_at_hand=frozenset(CATALOGUE))
    assert backbone_changes.smaller_backbone(every) == {"backbone": {"name": "all-MiniLM-L6-v2"}}
    assert backbone_changes.larger_backbone(replace(every, pretrained_at_hand=frozenset({"vgg16"}))) is None


def test_a_backbone_is_offered_only_with_weights_at_hand() -> None:
    here = replace(COURSE, spec=request(backbone={"name": "mobilenet_v3_small"}))
    here = replace(here, job_spec=here.spec)
    names = {frozenset({"resnet18"}): "resnet18", frozenset({"resnet50", "vgg16"}): "resnet50"}
    for at_hand, name in names.items():
        course = replace(here, pretrained_at_hand=at_hand)
        remedies = remedies_for("underfitting", course, Measures.of(course))
        assert {"backbone": {"name": name}} in [remedy.patch for remedy in remedies]
    nothing = replace(here, pretrained_at_hand=frozenset())
    assert "larger-backbone" not in {r.id for r in remedies_for("underfitting", nothing, Measures.of(nothing))}


def test_a_tuned_job_goes_on_from_its_winner() -> None:
    job = request()
    trained = request(training={"learning_rate": 0.0005, "batch_size": 64})
    params = {"training.learning_rate": 0.0005, "training.batch_size": 64}
    patch = offered("overfitting", trained, job_spec=job, params=params)["more-dropout"]
    made = JobSpec.model_validate(merge_patch(job.model_dump(), patch))
    assert (made.training.batch_size, made.training.learning_rate, made.backbone.dropout) == (64, 0.0005, 0.5)


def test_so_it_does_where_the_winner_does_not_clip() -> None:
    """A null in a merge patch would bring the default back."""
    job, trained = request(), request(training={"gradient_clip_norm": None})
    assert job.training.gradient_clip_norm == 1.0
    patch = offered("overfitting", trained, job_spec=job, params={"training.gradient_clip_norm": None})["more-dropout"]
    made = JobSpec.model_validate(merge_patch(job.model_dump(), patch))
    assert made.training == trained.training


def test_what_stands_in_the_way_comes_first() -> None:
    frozen = request(backbone={"name": "small_cnn", "trainable": "head"})
    assert next(iter(offered("not_better_than_baseline", frozen))) == "train-more-layers"
    fast = request(training={"learning_rate": 5.0})
    assert next(iter(offered("underfitting", fast))) == "lower-learning-rate"
    regularised = request(backbone={"dropout": 0.9})
    assert next(iter(offered("underfitting", regularised))) == "less-regularisation"


def test_few_samples_want_fewer_trained_layers() -> None:
    few = replace(COURSE, train=Scores(0.1, 1.0, 40 * COURSE.classes))
    many = replace(COURSE, train=Scores(0.1, 1.0, 60 * COURSE.classes))
    first = [remedies_for("overfitting", course, Measures.of(course))[0].id for course in (few, many)]
    assert first == ["train-fewer-layers", "stronger-augmentation"]


def test_augmentation_is_given_time() -> None:
    patches = [
        remedies_for("overfitting", course, Measures.of(course))[0].patch
        for course in (replace(COURSE, stopped_by=reason) for reason in ("epochs", "early_stopping"))
    ]
    assert patches[0] == {"augmentation": {"policy": "strong"}, "training": {"epochs": 60}}
    assert patches[1] == {"augmentation": {"policy": "strong"}}


def test_time_that_ran_out_is_asked_for() -> None:
    course = replace(COURSE, stopped_by="limit")
    remedies = {remedy.id: remedy.patch for remedy in remedies_for("undertrained", course, Measures.of(course))}
    assert remedies["train-longer"] == {"limits": {"wall_seconds": 4 * 3600}}


def test_uneven_classes_are_weighed() -> None:
    uneven = replace(COURSE, classes=4, baseline=Scores(0.9, 0.7, 100))
    assert "class-weights" in {r.id for r in remedies_for("underfitting", uneven, Measures.of(uneven))}
    assert "class-weights" not in offered("underfitting", request())


@pytest.mark.parametrize(
    ("backbone", "training", "expected"),
    [
        ({"name": "tf_efficientnet_lite0"}, {}, {"more-stochastic-depth": 0.2, "decay-lower-layers": 0.75}),
        ({"name": "convnext_small"}, {"layer_decay": 1.0}, {"more-stochastic-depth": 0.5, "decay-lower-layers": 0.75}),
        ({"name": "swin_t", "stochastic_depth": 0.1}, {"layer_decay": 0.9}, {"more-stochastic-depth": 0.3}),
        ({"name": "swin_t", "stochastic_depth": 0.5, "trainable": "last_stage"}, {}, {}),
        ({"name": "swin_t", "trainable": "last_stage"}, {}, {"more-stochastic-depth": 0.4}),
        ({"name": "swin_t", "trainable": "head"}, {}, {}),
        ({"name": "resnet18"}, {}, {"decay-lower-layers": 0.75}),
        ({"name": "resnet18", "weights": "none"}, {}, {}),
    ],
)
def test_newer_regularisers_come_last_where_they_act(
    backbone: dict[str, Any], training: dict[str, Any], expected: dict[str, float]
) -> None:
    patches = offered("overfitting", request(backbone=backbone, training=training))
    found = {name: patches[name] for name in patches if name in ("more-stochastic-depth", "decay-lower-layers")}
    fields = {
        "more-stochastic-depth": ("backbone", "stochastic_depth"),
        "decay-lower-layers": ("training", "layer_decay"),
    }
    assert found == {name: {fields[name][0]: {fields[name][1]: value}} for name, value in expected.items()}
    assert list(patches)[len(patches) - len(found) :] == list(found)


def test_every_remedy_is_used() -> None:
    used = {name for names in AGAINST.values() for name in names} | set(AGAINST_MEMORISING)
    assert used == set(KINDS)


def test_courses_may_lack_scores() -> None:
    bare = Course(request(), request(), (), 2, problem="diverged")
    assert [remedy.id for remedy in remedies_for("diverged", bare, None)] == ["lower-learning-rate", "warm-up"]
