"""Jobs of tables and texts before they run: what is refused, what is decided, what it costs."""

from pathlib import Path
from typing import Any

import pytest

from service.specs.backbones import CATALOGUE
from tests.contracts.conftest import Api, problem
from tests.contracts.validated import add_table, add_texts
from tests.corpora import tables
from worker.backbones.sources import WeightSources
from worker.presence import announced

AT_HAND = {"all-MiniLM-L6-v2": "packaged", "bert-base-uncased": "local", "wordnet": "none", "marian": "none"}
ROWS, TEXTS = 40, 30


@pytest.fixture(scope="module")
def table(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    return add_table(api, tmp_path_factory.mktemp("table"), tables.plain())


@pytest.fixture(scope="module")
def values(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    return add_table(api, tmp_path_factory.mktemp("values"), tables.plain(), target="x")


@pytest.fixture(scope="module")
def texts(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    with api.store.work() as work:
        work.workers.seen("trainer", ["train"], AT_HAND)
    rows = [
        {"text": f"some words {number}", "label": "ab"[number % 2], "author": number % 9} for number in range(TEXTS)
    ]
    return add_texts(api, tmp_path_factory.mktemp("texts"), rows)


def ask(api: Api, dataset: str, **spec: Any) -> Any:
    return api.call("POST", "/v1/jobs?dry_run=true", json={"dataset_id": dataset, **spec})


def planned(api: Api, dataset: str, **spec: Any) -> dict[str, Any]:
    answer = ask(api, dataset, **spec)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def warned(plan: dict[str, Any]) -> list[str]:
    return [warning["message"] for warning in plan["warnings"] if warning["code"] == "no-effect"]


def test_only_networks_take_several_devices(api: Api, table: str) -> None:
    """Also where the estimator is the default."""
    asked: list[dict[str, Any]] = [{}, {"estimator": {"kind": "linear"}}, {"estimator": {"kind": "random_forest"}}]
    for estimator in asked:
        [fault] = problem(ask(api, table, limits={"devices": 2}, **estimator), 422, "validation")["errors"]
        assert fault["loc"] == ["body", "limits", "devices"]
        assert "trains on one device" in fault["message"]
    assert planned(api, table, limits={"devices": 2}, estimator={"kind": "mlp"})["spec"]["limits"]["devices"] == 2


def test_a_predefined_split_is_for_images(api: Api, table: str, texts: str) -> None:
    for dataset in (table, texts):
        document = problem(ask(api, dataset, split={"strategy": "predefined"}), 422, "target-invalid")
        (fault,) = document["errors"]
        assert fault["loc"] == ["body", "split", "strategy"]
        assert "only archives of images name splits" in fault["message"]


def test_what_is_left_open_is_decided(api: Api, table: str, values: str, texts: str) -> None:
    spec = planned(api, table)["spec"]
    assert (spec["problem"], spec["backbone"]) == ("tabular_classification", None)
    assert (spec["estimator"]["kind"], spec["training"]["epochs"]) == ("gradient_boosting", 300)
    assert planned(api, values)["spec"]["problem"] == "tabular_regression"
    spec = planned(api, texts)["spec"]
    assert (spec["problem"], spec["backbone"]["name"]) == ("text_classification", "all-MiniLM-L6-v2")
    assert (spec["estimator"], spec["augmentation"]["policy"]) == (None, "none")


@pytest.mark.parametrize(
    ("backbone", "training", "epochs", "rate"),
    [
        ({}, {}, 5, 5e-5),
        ({"trainable": "gradual"}, {}, 5, 5e-5),
        ({"trainable": "head"}, {}, 30, None),
        ({"weights": "none"}, {}, 30, None),
        ({}, {"epochs": 9, "backbone_learning_rate": 3e-5}, 9, 3e-5),
        ({}, {"optimizer": "sgd"}, 5, None),
    ],
)
def test_a_pretrained_transformer_is_trained_briefly_in_small_steps(
    backbone: dict[str, Any], training: dict[str, Any], epochs: int, rate: float | None, api: Api, texts: str
) -> None:
    """As Devlin et al. 2019, appendix A.3."""
    found = planned(api, texts, backbone=backbone, training=training)["spec"]["training"]
    assert (found["epochs"], found["backbone_learning_rate"]) == (epochs, rate)


def test_costs_are_counted_in_rows_and_tokens(api: Api, table: str, texts: str) -> None:
    cost = planned(api, table, estimator={"kind": "linear"})["cost"]
    assert cost == {"trials": 1, "epochs": 1, "train_samples": 28, "sample_passes": 28, "pixels": 0, "tokens": 0}
    plan = planned(api, texts, backbone={"trainable": "head"}, training={"epochs": 3})
    assert plan["spec"]["training"]["max_tokens"] == 8
    train = round(TEXTS * 0.7)
    assert plan["cost"] == {"trials": 1, "epochs": 3, "train_samples": train, "sample_passes": 3 * train, "pixels": 0,
                            "tokens": 3 * train * 8}  # fmt: skip
    space = {"backbone.name": {"choices": ["all-MiniLM-L6-v2", "bert-base-uncased"]}}
    tuned = planned(api, texts, training={"epochs": 2}, tuning={"strategy": "grid", "trials": 3, "space": space})
    assert tuned["cost"]["tokens"] == tuned["cost"]["sample_passes"] * 8


@pytest.mark.parametrize("name", ["synonym_replacement", "back_translation"])
def test_what_an_augmentation_needs_must_be_on_a_worker(name: str, api: Api, texts: str) -> None:
    document = problem(ask(api, texts, augmentation={name: 0.1}), 422, "validation")
    assert [(fault["loc"], fault["code"]) for fault in document["errors"]] == [
        (["body", "augmentation", name], "not-at-hand")
    ]
    tuning = {"strategy": "random", "trials": 2, "space": {f"augmentation.{name}": {"low": 0.0, "high": 0.5}}}
    spec = {"augmentation": {"random_swap": 0.1}, "tuning": tuning}
    assert problem(ask(api, texts, **spec), 422, "validation")["errors"][0]["code"] == "not-at-hand"
    assert planned(api, texts, augmentation={name: 0.0, "random_swap": 0.1})["spec"]["augmentation"][name] == 0.0


def test_a_worker_that_has_it_is_enough(make_api: Any, tmp_path: Path) -> None:
    api = make_api()
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        for folder in ("marian-en-de", "marian-de-en"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / file).touch()
    found = announced(WeightSources(tmp_path))
    assert set(found) == {*CATALOGUE, "wordnet", "marian"}
    with api.store.work() as work:
        work.workers.seen("poor", ["train"], {**found, "marian": "none"})
        work.workers.seen("rich", ["train"], found)
    rows = [{"text": f"some words {number}", "label": "ab"[number % 2]} for number in range(TEXTS)]
    dataset = add_texts(api, tmp_path, rows)
    assert (
        planned(api, dataset, augmentation={"back_translation": 0.1})["spec"]["augmentation"]["back_translation"] == 0.1
    )


@pytest.mark.parametrize(
    ("learner", "path", "code"),
    [
        ("table", "training.max_tokens", "other-modality"),
        ("table", "training.image_size", "other-modality"),
        ("texts", "training.image_size", "other-modality"),
        ("table", "backbone.dropout", "unknown-path"),
        ("texts", "estimator.kind", "unknown-path"),
        ("table", "estimator.hidden_sizes", "unknown-path"),
    ],
)
def test_only_what_the_job_has_is_searched(
    learner: str, path: str, code: str, api: Api, request: pytest.FixtureRequest
) -> None:
    tuning = {"strategy": "random", "trials": 2, "space": {path: {"low": 32, "high": 64}}}
    document = problem(ask(api, request.getfixturevalue(learner), tuning=tuning), 422, "validation")
    assert (document["errors"][0]["loc"], document["errors"][0]["code"]) == (["body", "tuning", "space", path], code)


def test_max_tokens_of_texts_is_searched(api: Api, texts: str) -> None:
    tuning = {"strategy": "random", "trials": 2, "space": {"training.max_tokens": {"low": 8, "high": 64}}}
    assert planned(api, texts, tuning=tuning)["trials"] == 2


def test_what_does_nothing_is_said(api: Api, table: str, values: str, texts: str) -> None:
    assert warned(planned(api, table)) == warned(planned(api, texts)) == warned(planned(api, values)) == []
    linear = {"estimator": {"kind": "linear"}}
    found = warned(planned(api, table, training={"epochs": 9, "batch_size": 8, "max_tokens": 16}, **linear))
    assert found == [
        "training.batch_size does nothing for linear.",
        "training.max_tokens does nothing without texts.",
        "training.epochs does nothing for linear: it has one.",
    ]
    space = {"training.epochs": {"low": 1, "high": 9}, "training.class_weights": {"choices": ["none", "balanced"]}}
    found = warned(planned(api, table, tuning={"strategy": "random", "trials": 2, "space": space}, **linear))
    assert found == ["Searching training.epochs does nothing for linear."]
    mlp = {"estimator": {"kind": "mlp"}, "training": {"class_weights": "balanced", "label_smoothing": 0.1}}
    assert warned(planned(api, table, **mlp)) == []
    weights = {"training": {"class_weights": "balanced"}, **linear}
    assert warned(planned(api, table, **weights)) == []
    assert warned(planned(api, values, **weights)) == ["training.class_weights does nothing for linear."]
    assert warned(planned(api, values, **mlp)) == [
        "training.class_weights does nothing where values are learned.",
        "training.label_smoothing does nothing where values are learned.",
    ]


def test_learners_of_other_modalities(api: Api, table: str, values: str, texts: str) -> None:
    assert problem(ask(api, table, backbone={}), 422, "validation")["errors"][0]["loc"] == ["body", "backbone"]
    answer = ask(api, texts, estimator={"kind": "linear"})
    assert problem(answer, 422, "validation")["errors"][0]["loc"] == ["body", "estimator"]
    for dataset, asked in (
        (table, "tabular_regression"),
        (values, "tabular_classification"),
        (texts, "image_classification"),
    ):
        answer = ask(api, dataset, problem=asked)
        assert problem(answer, 422, "target-invalid")["errors"][0]["loc"] == ["body", "problem"]
    answer = ask(api, texts, backbone={"name": "resnet18"})
    assert "all-MiniLM-L6-v2" in problem(answer, 422, "unknown-backbone")["errors"][0]["message"]


def test_splits_by_columns(api: Api, table: str, texts: str) -> None:
    group = {"strategy": "group", "group_column": "n"}
    assert planned(api, table, split=group)["spec"]["split"]["group_column"] == "n"
    assert planned(api, texts, split={**group, "group_column": "author"})["spec"]["split"]["strategy"] == "group"
    answer = ask(api, texts, split={**group, "group_column": "label"})
    assert problem(answer, 422, "target-invalid")["errors"][0]["code"] == "unknown-column"
    assert planned(api, table, split={"strategy": "time", "time_column": "x"})["spec"]["split"]["strategy"] == "time"
