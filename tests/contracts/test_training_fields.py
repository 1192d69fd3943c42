"""What the job spec says of training: what is refused, what is warned of, what stays open."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec


def dry_run(api: Api, **parts: Any) -> Any:
    spec = job_spec(api.ours.ids["dataset_id"])
    spec["backbone"] = {"name": "small_cnn"}
    merged = {**spec, **parts}
    return api.call("POST", "/v1/jobs?dry_run=true", json=merged)


def test_auto_is_accepted_and_left_to_the_trial(api: Api) -> None:
    answer = dry_run(api, training={"learning_rate": "auto", "batch_size": "auto", "epochs": 3})
    assert answer.status_code == 200, answer.text
    training = answer.json()["spec"]["training"]
    assert (training["learning_rate"], training["batch_size"]) == ("auto", "auto")
    assert training["backbone_learning_rate"] is None
    assert answer.json()["cost"]["sample_passes"] == answer.json()["cost"]["train_samples"] * 3


@pytest.mark.parametrize(
    ("part", "fields", "names"),
    [
        ("training", {"learning_rate": "automatic"}, "learning_rate"),
        ("training", {"learning_rate": 0.0}, "learning_rate"),
        ("training", {"batch_size": 1}, "batch_size"),
        ("training", {"batch_size": 2.5}, "batch_size"),
        ("training", {"layer_decay": 0.0}, "layer_decay"),
        ("training", {"layer_decay": 1.01}, "layer_decay"),
        ("training", {"epochs": "auto"}, "epochs"),
        ("backbone", {"name": "efficientnet_b0", "stochastic_depth": 0.95}, "stochastic_depth"),
    ],
)
def test_a_fault_is_one_and_names_its_field(api: Api, part: str, fields: dict[str, Any], names: str) -> None:
    document = problem(dry_run(api, **{part: fields}), 422, "validation")
    assert [fault["loc"] for fault in document["errors"]] == [["body", part, names]]


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        (
            {"backbone": {"name": "resnet18", "stochastic_depth": 0.1}},
            "backbone.stochastic_depth",
            "resnet18 has no branches to drop",
        ),
        (
            {"backbone": {"name": "vit_b_16", "batch_norm": "frozen"}},
            "backbone.batch_norm",
            "vit_b_16 has no batch norm",
        ),
        (
            {"backbone": {"name": "small_cnn", "weights": "pretrained"}},
            "backbone.weights",
            "small_cnn is trained from scratch",
        ),
        (
            {"backbone": {"name": "vit_b_16"}, "training": {"image_size": 64}},
            "training.image_size",
            "vit_b_16 takes image_size 224 only",
        ),
        ({"estimator": {"kind": "linear"}}, "estimator", "either a backbone or an estimator"),
        ({"training": {"epochs": 3, "warmup_epochs": 3}}, "training.warmup_epochs", "smaller than epochs"),
        ({"augmentation": {"policy": "light", "rotation_degrees": 5.0}}, "augmentation.policy", "not both"),
        (
            {"training": {"batch_size": 4}, "limits": {"devices": 5}},
            "limits.devices",
            "not be greater than training.batch_size",
        ),
        (
            {"problem": "image_classification", "augmentation": {"random_swap": 0.5}},
            "augmentation.random_swap",
            "not for image_classification",
        ),
        (
            {"problem": "image_classification", "early_stopping": {"monitor": "validation_mae"}},
            "early_stopping.monitor",
            "image_classification has validation_loss",
        ),
    ],
)
def test_a_rule_over_several_fields_names_the_one_at_fault(
    api: Api, parts: dict[str, Any], field: str, rule: str
) -> None:
    [fault] = problem(dry_run(api, **parts), 422, "validation")["errors"]
    assert fault["loc"] == ["body", *field.split(".")]
    assert rule in fault["message"]


@pytest.mark.parametrize(
    ("tuning", "field"),
    [
        ({"direction": "maximize"}, "tuning.direction"),
        ({"strategy": "random", "sampler": "tpe"}, "tuning.sampler"),
        ({"space": {f"training.{number}": {"choices": [1, 2, 3, 4, 5]} for number in range(30)}}, "tuning.space"),
        ({"metric": "validation_accuracy", "early": "validation_loss"}, "early_stopping.monitor"),
    ],
)
def test_so_does_one_of_a_search(api: Api, tuning: dict[str, Any], field: str) -> None:
    fields = {"space": {"training.batch_size": {"choices": [8, 16]}}, **tuning}
    early = fields.pop("early", None)
    parts = {"tuning": fields} | ({"early_stopping": {"monitor": early}} if early else {})
    [fault] = problem(dry_run(api, **parts), 422, "validation")["errors"]
    assert fault["loc"] == ["body", *field.split(".")]


def test_a_job_for_more_devices_than_any_worker_has_is_refused(make_api: Callable[..., Api]) -> None:
    """Where no worker is known yet it waits for one, and says so."""
    api, spec = make_api(), {"limits": {"devices": 4}}
    waiting = dry_run(api, **spec)
    assert [one["code"] for one in waiting.json()["warnings"] if "4 devices" in one["message"]] == ["devices-not-seen"]
    with api.store.work() as work:
        work.workers.seen("explainer", ["explain"], {})
        work.workers.seen("small", ["train"], {}, devices=2)
    [fault] = problem(dry_run(api, **spec), 422, "validation")["errors"]
    assert (fault["loc"], fault["code"]) == (["body", "limits", "devices"], "too-many-devices")
    assert "have 2 at most" in fault["message"]
    with api.store.work() as work:
        work.workers.seen("large", ["train"], {}, devices=8)
    accepted = dry_run(api, **spec)
    assert (accepted.status_code, accepted.json()["spec"]["limits"]["devices"]) == (200, 4)
    assert not [one for one in accepted.json()["warnings"] if "devices" in one["message"]]


def test_a_norm_of_zero_does_not_clip(api: Api) -> None:
    """A merge patch cannot say null."""
    answer = dry_run(api, training={"gradient_clip_norm": 0.0})
    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["training"]["gradient_clip_norm"] is None


@pytest.mark.parametrize(
    ("backbone", "training", "told"),
    [
        ({"trainable": "head", "batch_norm": "frozen"}, {}, ["backbone.batch_norm"]),
        ({"trainable": "head"}, {"layer_decay": 0.5, "backbone_learning_rate": 0.1},
         ["training.layer_decay", "training.backbone_learning_rate"]),
        ({"trainable": "head"}, {"layer_decay": 1.0}, []),
        ({"trainable": "all", "batch_norm": "frozen"}, {"layer_decay": 0.5}, ["backbone.batch_norm"]),
        ({"trainable": "gradual"}, {"epochs": 1}, ["trainable gradual"]),
        ({"trainable": "gradual"}, {"epochs": 2, "layer_decay": 0.5}, []),
    ],
)  # fmt: skip
def test_what_cannot_act_is_said(api: Api, backbone: dict[str, Any], training: dict[str, Any], told: list[str]) -> None:
    answer = dry_run(api, backbone={"name": "small_cnn", **backbone}, training=training)
    assert answer.status_code == 200, answer.text
    found = [warning["message"] for warning in answer.json()["warnings"] if warning["code"] == "no-effect"]
    assert len(found) == len(told)
    assert all(message.startswith(start) for message, start in zip(found, told, strict=True))


def test_the_document_describes_the_new_fields(api: Api) -> None:
    schemas = api.client.app.openapi()["components"]["schemas"]  # type: ignore[attr-defined]
    training = schemas["TrainingSpec"]["properties"]
    for name in ("learning_rate", "batch_size"):
        number, word = training[name]["anyOf"]
        assert {"minimum", "exclusiveMinimum"} & number.keys()
        assert word["const"] == "auto"
    for schema, name in (
        ("TrainingSpec", "layer_decay"),
        ("BackboneSpec", "stochastic_depth"),
        ("TrialRead", "effective"),
    ):
        assert schemas[schema]["properties"][name]["description"]
