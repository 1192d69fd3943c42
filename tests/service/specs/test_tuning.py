"""What a search may ask for: each refusal names the field and the rule."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.specs.search_space import axes_of, baseline_params, largest, trial_spec
from service.specs.space_faults import space_faults
from tests.searches import SPACE, search_spec

RATE = {"training.learning_rate": {"low": 1e-4, "high": 1e-1}}
DIMENSION = "training.batch_size"


@pytest.mark.parametrize(
    ("tuning", "rule"),
    [
        ({"space": {}}, "at least 1 item"),
        ({}, "Field required"),
        ({"space": {f"training.x{n}": {"choices": [1]} for n in range(33)}}, "at most 32 items"),
        ({"space": {DIMENSION: {}}}, "give low and high, or choices"),
        ({"space": {DIMENSION: {"low": 1}}}, "give low and high, or choices"),
        ({"space": {DIMENSION: {"low": 8, "high": 4}}}, "low must not be greater than high"),
        ({"space": {DIMENSION: {"low": 1, "high": 4, "choices": [2]}}}, "either low and high, or choices"),
        ({"space": {DIMENSION: {"low": 0, "high": 4, "log": True}}}, "a log scale needs low > 0"),
        ({"space": {DIMENSION: {"low": 2, "high": 4, "log": True, "step": 2}}}, "either log or step"),
        ({"space": {DIMENSION: {"low": 2, "high": 4, "step": 0}}}, "greater than 0"),
        ({"space": {DIMENSION: {"low": 2, "high": float("nan")}}}, "finite number"),
        ({"space": {DIMENSION: {"low": "2", "high": 4}}}, "valid integer"),
        ({"space": {DIMENSION: {"low": True, "high": 4}}}, "valid integer"),
        ({"space": {DIMENSION: {"choices": []}}}, "at least 1 item"),
        ({"space": {DIMENSION: {"choices": [8, 16, 8]}}}, "a choice is given twice"),
        ({"space": {DIMENSION: {"choices": [[8]]}}}, "valid boolean"),
        ({"space": {DIMENSION: {"choices": list(range(65))}}}, "at most 64 items"),
        ({"space": {f"training.x{n}": {"choices": list(range(50))} for n in range(3)}}, "at most 128 bounds"),
        ({"space": {DIMENSION: {"low": 2, "high": 4, "steps": 2}}}, "Extra inputs are not permitted"),
        ({"space": RATE, "trials": 0}, "greater than or equal to 1"),
        ({"space": RATE, "trials": 1001}, "less than or equal to 1000"),
        ({"space": RATE, "parallel": 65}, "less than or equal to 64"),
        ({"space": RATE, "direction": "maximize"}, "validation_loss is there to minimize"),
        ({"space": RATE, "metric": "validation_accuracy", "direction": "minimize"}, "is there to maximize"),
        ({"space": RATE, "metric": "test_loss"}, "Input should be 'validation_loss'"),
        ({"space": RATE, "strategy": "random", "sampler": "tpe"}, "for the strategy bayesian only"),
        ({"space": RATE, "sampler": "nsga"}, "Input should be 'tpe', 'gp' or 'cma_es'"),
        ({"space": RATE, "target_value": float("inf")}, "finite number"),
    ],
)
def test_what_is_wrong_by_itself(tuning: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        JobSpec.model_validate({"dataset_id": "ds_x", "tuning": tuning})
    assert all(fault["loc"][0] == "tuning" for fault in refused.value.errors())
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    ("space", "where", "code", "rule"),
    [
        ({"x.y": {"low": 1, "high": 2}}, "", "unknown-path", "no such field"),
        ({"training.x": {"low": 1, "high": 2}}, "", "unknown-path", "no such field"),
        ({"training.model_fields": {"choices": [1]}}, "", "unknown-path", "no such field"),
        ({"training.epochs.real": {"choices": [1]}}, "", "unknown-path", "no such field"),
        ({"training": {"choices": [1]}}, "", "unknown-path", "a part of the spec"),
        ({"estimator.kind": {"choices": ["mlp"]}}, "", "unknown-path", "null"),
        *(
            ({path: {"choices": [1]}}, "", "not-tunable", "can be tuned")
            for path in ("dataset_id", "split.test", "seed", "tuning.trials", "limits.wall_seconds", "name",
                         "metadata.a", "problem", "early_stopping.monitor")
        ),
        ({DIMENSION: {"low": 2.5, "high": 8}}, "low", "int-type", "valid integer"),
        ({DIMENSION: {"low": 2, "high": 8, "step": 0.5}}, "step", "int-type", "whole numbers"),
        ({DIMENSION: {"low": 1, "high": 8}}, "low", "greater-than-equal", "greater than or equal to 2"),
        ({DIMENSION: {"low": 2, "high": 4097}}, "high", "less-than-equal", "less than or equal to 4096"),
        ({DIMENSION: {"choices": [8, "16"]}}, "choices.1", "int-type", "valid integer"),
        ({DIMENSION: {"choices": [True]}}, "choices.0", "int-type", "valid integer"),
        ({"training.learning_rate": {"low": 0, "high": 1}}, "low", "greater-than", "greater than 0"),
        ({"training.learning_rate": {"choices": [1, 1.0]}}, "choices", "repeated", "the same to the field"),
        ({"training.optimizer": {"low": 1, "high": 2}}, "low", "literal-error", "'adamw', 'adam' or 'sgd'"),
        ({"backbone.dropout": {"low": 0.0, "high": 0.95}}, "high", "less-than-equal", "less than or equal to 0.9"),
        ({"augmentation.mixup_alpha": {"low": 0.0, "high": 1.0}}, "", "combination", "either a policy or explicit"),
        ({"training.warmup_epochs": {"low": 0, "high": 30}}, "", "combination", "smaller than epochs"),
        (
            {"training.warmup_epochs": {"low": 0, "high": 5}, "training.epochs": {"low": 5, "high": 9}},
            "", "combination", "beside all of training.warmup_epochs",
        ),
        ({"backbone.weights": {"choices": ["none", "pretrained"]}}, "", "combination", "trained from scratch"),
    ],
)  # fmt: skip
def test_every_bound_is_checked_against_the_field_it_would_set(
    space: dict[str, Any], where: str, code: str, rule: str
) -> None:
    fault, *_ = space_faults(search_spec(space))
    path, suffix = fault.loc[3], ".".join(map(str, fault.loc[4:]))
    assert (fault.loc[:3], path in space, suffix, fault.code) == (("body", "tuning", "space"), True, where, code)
    assert rule in fault.message


def test_only_what_a_trial_can_meet_is_refused() -> None:
    """A warm-up of 5 epochs does not go with 4 epochs, but no trial has it: the search replaces it."""
    space = {"training.epochs": {"low": 4, "high": 9}, "training.warmup_epochs": {"low": 0, "high": 3}}
    assert space_faults(search_spec(space, training={"warmup_epochs": 5})) == []
    assert space_faults(search_spec({"training.epochs": {"low": 4, "high": 9}}, training={"warmup_epochs": 5})) != []


@pytest.mark.parametrize(
    ("space", "trials", "field"),
    [
        ({"training.learning_rate": {"low": 0.1, "high": 1.0}}, 30, "space"),
        ({"training.batch_size": {"low": 2, "high": 64, "log": True}}, 100, "space"),
        ({"training.batch_size": {"low": 2, "high": 31}}, 30, "trials"),
        ({"training.batch_size": {"low": 2, "high": 31}}, 31, None),
        ({"training.batch_size": {"low": 3, "high": 32}}, 30, None),  # the baseline's 32 is one of the cells
    ],
)
def test_a_grid_is_countable_and_no_larger_than_trials(space: dict[str, Any], trials: int, field: str | None) -> None:
    faults = space_faults(search_spec(space, strategy="grid", trials=trials))
    assert [fault.loc[2] for fault in faults] == ([field] if field else [])


def test_cma_es_needs_two_ranges() -> None:
    assert space_faults(search_spec(RATE, sampler="cma_es"))[0].loc == ("body", "tuning", "sampler")
    assert space_faults(search_spec(SPACE, sampler="cma_es")) == []


def test_early_stopping_watches_what_is_tuned() -> None:
    tuned = search_spec(metric="validation_accuracy")
    assert tuned.early_stopping is not None
    assert tuned.tuning is not None
    assert (tuned.early_stopping.monitor, tuned.tuning.direction) == ("validation_accuracy", "maximize")
    assert JobSpec.model_validate(tuned.model_dump()) == tuned
    with pytest.raises(ValidationError, match=r"early_stopping\.monitor must be tuning\.metric"):
        search_spec(metric="validation_accuracy", early_stopping={"monitor": "validation_loss"})


def test_without_early_stopping_the_best_epoch_is_still_the_best_by_the_metric() -> None:
    spec = search_spec(metric="validation_macro_f1", early_stopping=None)
    alone = trial_spec(spec, {}, DatasetFacts(median_side=32))
    assert alone.early_stopping is not None
    assert (alone.early_stopping.monitor, alone.early_stopping.patience) == ("validation_macro_f1", 1000)


def test_what_follows_from_a_tuned_field_follows_it_in_each_trial() -> None:
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e-1},
             "backbone.name": {"choices": ["small_cnn", "resnet18"]}}  # fmt: skip
    spec = search_spec(space)
    assert (spec.training.backbone_learning_rate, spec.backbone.weights, spec.training.image_size) == (None, None, None)
    params = {"training.learning_rate": 0.02, "backbone.name": "resnet18"}
    alone = trial_spec(spec, params, DatasetFacts(median_side=100))
    assert (alone.training.learning_rate, alone.training.backbone_learning_rate) == (0.02, None)
    assert (alone.backbone.name, alone.backbone.weights, alone.training.image_size) == ("resnet18", "pretrained", 128)
    assert alone.tuning is None
    assert resolve(alone, DatasetFacts(median_side=7, has_predefined_split=True)) == alone
    baseline = trial_spec(spec, {}, DatasetFacts(median_side=100))
    assert (baseline.backbone.weights, baseline.training.image_size) == ("none", 32)


def test_axes_hold_values_as_their_fields_keep_them() -> None:
    space = {
        "training.learning_rate": {"low": 1, "high": 2},
        "training.batch_size": {"low": 8, "high": 31, "step": 8},
        "backbone.dropout": {"low": 0.1, "high": 0.35, "step": 0.1},
        "training.image_size": {"choices": [None, 64]},
    }
    dropout, batch, size, rate = axes_of(search_spec(space))
    assert (rate.kind, rate.low, type(rate.high)) == ("float", 1.0, float)
    assert (batch.kind, batch.high, [batch.value(n) for n in range(batch.count or 0)]) == ("int", 24, [8, 16, 24])
    assert [dropout.value(n) for n in range(dropout.count or 0)] == [0.1, 0.2, 0.3]
    assert [dropout.holds(value) for value in (0.3, 0.35, 0.1, 0.05, None)] == [True, False, True, False, False]
    assert [size.holds(value) for value in (None, 64, 64.0, 96)] == [True, True, False, False]


def test_the_baseline_counts_where_the_space_holds_it() -> None:
    assert baseline_params(search_spec()) == {
        "training.batch_size": 32, "training.learning_rate": 0.001, "training.weight_decay": 0.01,
    }  # fmt: skip
    assert baseline_params(search_spec({**SPACE, "backbone.dropout": {"low": 0.5, "high": 0.6}})) is None


def test_the_most_that_a_number_can_be() -> None:
    assert largest(search_spec({"training.epochs": {"low": 2, "high": 5}}), "training.epochs") == 30
    assert largest(search_spec({"training.epochs": {"choices": [2, 50, 7]}}), "training.epochs") == 50
    assert largest(search_spec(), "training.epochs") == 30
