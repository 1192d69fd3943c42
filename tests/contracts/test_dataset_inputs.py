"""Samples of a dataset of tables or texts as inputs of predictions and explanations."""

from typing import Any

from tests.contracts.conftest import Api, problem
from tests.contracts.models import (
    SPLIT,
    asked_inputs,
    explain,
    refused,
    table_dataset,
    table_model,
    text_dataset,
    text_model,
)


def test_samples_of_a_dataset_in_order(api: Api) -> None:
    rows, texts = table_dataset(api), text_dataset(api)
    for model, dataset, noun in ((table_model(api), rows, "row"), (text_model(api), texts, "text")):
        for verb, spec in (("predictions", {}), ("explanations", {"method": "lime"})):
            body = {"dataset_id": dataset, "limit": 3, **spec}
            inputs = asked_inputs(api, api.call("POST", f"/v1/models/{model}/{verb}", json=body))
            assert [(one["name"], one["row"], one["dataset_id"]) for one in inputs] == [
                (f"{noun} {row}", row, dataset) for row in range(3)
            ]


def test_samples_of_the_models_own_split(api: Api) -> None:
    digest = "5" * 64
    rows, texts = table_dataset(api, digest=digest), text_dataset(api, digest=digest)
    for model, dataset in ((table_model(api, digest=digest), rows), (text_model(api, digest=digest), texts)):
        for split, dealt in SPLIT.items():
            answer = explain(api, model, dataset_id=dataset, split=split, method="lime")
            assert [one["row"] for one in asked_inputs(api, answer)] == sorted(dealt)
        two = explain(api, model, dataset_id=dataset, split="test", limit=2, method="lime")
        assert [one["row"] for one in asked_inputs(api, two)] == sorted(SPLIT["test"])[:2]


def test_a_dataset_that_does_not_fit(api: Api) -> None:
    rows, texts, table, text = table_dataset(api), text_dataset(api), table_model(api), text_model(api)
    for model, other, own in ((table, texts, rows), (text, rows, texts)):
        for verb in ("predictions", "explanations"):
            spec = {"method": "lime"} if verb == "explanations" else {}

            def ask(dataset: str, model: str = model, verb: str = verb, spec: Any = spec, **fields: Any) -> Any:
                return api.call("POST", f"/v1/models/{model}/{verb}", json={"dataset_id": dataset, **spec, **fields})

            refused(ask(other), "dataset_id", code="other-modality")
            refused(ask(api.ours.ids["dataset_id"]), "dataset_id", code="other-modality")
            refused(ask(own, split="test"), "split", code="other-dataset")
            refused(ask("ds_none"), "dataset_id", code="unknown-reference", slug="unknown-reference")
            theirs = api.theirs.ids["dataset_id"]
            refused(ask(theirs), "dataset_id", code="unknown-reference", slug="unknown-reference")
            problem(ask(own, split="all"), 422, "validation")
            problem(ask(own, limit=0), 422, "validation")
            problem(ask(own, limit=10_001), 422, "too-many-items")
    problem(explain(api, table, dataset_id=table_dataset(api, state="validating")), 409, "conflict")


def test_a_dataset_without_the_models_columns(api: Api) -> None:
    columns = [{"name": "age", "kind": "numeric"}, {"name": "colour", "kind": "text"}]
    answer = explain(api, table_model(api), dataset_id=table_dataset(api, columns=columns))
    refused(answer, "dataset_id", code="other-columns")
    assert "member, seen, note" in answer.json()["errors"][0]["message"]
    known = table_model(api, columns=[{"name": "visit", "kind": "categorical"}])
    assert len(asked_inputs(api, explain(api, known, dataset_id=table_dataset(api)))) == 10


def test_more_samples_than_are_explained(api: Api) -> None:
    rows, texts = table_dataset(api, rows=10_000), text_dataset(api, samples=10_000)
    table = table_model(api, "linear")
    refused(explain(api, table, dataset_id=rows, limit=2001), "limit", code="too-many", slug="too-many-items")
    refused(explain(api, text_model(api), dataset_id=texts, limit=501), "limit", code="too-many", slug="too-many-items")
    assert len(asked_inputs(api, explain(api, table, dataset_id=rows, limit=2000))) == 2000
    importance = explain(api, table, dataset_id=rows, limit=10_000, method="permutation")
    assert len(asked_inputs(api, importance)) == 10_000
