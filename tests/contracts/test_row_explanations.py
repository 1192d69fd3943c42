"""Explanations of rows and texts: what is refused before anything is kept, and what they may cost (S41)."""

from typing import Any

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.models import (
    LABELS,
    asked_inputs,
    explain,
    numeric_columns,
    refused,
    table_dataset,
    table_model,
    text_model,
)
from tests.corpora.pictures import png

UNFIT = [
    ("linear", "tree"), ("linear", "gradient"), ("linear", "partition"), ("mlp", "tree"), ("mlp", "linear"),
    ("gradient_boosting", "linear"), ("gradient_boosting", "gradient"), ("random_forest", "gradient"), ("dart", "tree"),
]  # fmt: skip


@pytest.mark.parametrize("method", ["grad_cam", "integrated_gradients", "occlusion"])
def test_methods_of_other_modalities(method: str, api: Api) -> None:
    refused(explain(api, table_model(api), method=method), "method", code="other-modality")
    refused(explain(api, api.ours.ids["model_id"], method="permutation"), "method", code="other-modality")
    for foreign in ("grad_cam", "permutation"):
        refused(explain(api, text_model(api), inputs=["a"], method=foreign), "method", code="other-modality")


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("shap", {"samples": 100}), ("shap", {"steps": 8}), ("lime", {"background_rows": 5}), ("lime", {"segments": 9}),
     ("lime", {"evaluations": 100}), ("shap", {"batch_size": 8})],
    ids=str,
)  # fmt: skip
def test_parameters_of_other_methods(method: str, parameters: dict[str, Any], api: Api) -> None:
    answer = explain(api, table_model(api), method=method, parameters=parameters)
    refused(answer, "parameters", *parameters, code="other-method")
    for own, foreign in (("occlusion", "steps"), ("integrated_gradients", "window"), ("shap", "background_rows")):
        answer = explain(api, text_model(api), inputs=["a"], method=own, parameters={foreign: 10})
        refused(answer, "parameters", foreign, code="other-method")


def test_targets(api: Api) -> None:
    for model, one in ((table_model(api), {}), (text_model(api), "a")):
        answer = explain(api, model, inputs=[one], targets=["long", "99"])
        refused(answer, "targets", 1, code="unknown-label")
        problem(explain(api, model, inputs=[one], targets=[]), 422, "validation")
        problem(explain(api, model, inputs=[one], targets=["long"] * 17), 422, "validation")
    regression = table_model(api, "linear", classes=[])
    refused(explain(api, regression, targets=["long"]), "targets", code="no-labels")
    dataset = table_dataset(api)
    importance = {"method": "permutation", "dataset_id": dataset}
    refused(explain(api, table_model(api), targets=["long"], **importance), "targets", code="no-labels")
    refused(explain(api, table_model(api), evaluate=True, **importance), "evaluate", code="not-judged")
    refused(explain(api, table_model(api), method="permutation"), "dataset_id", code="no-targets")


@pytest.mark.parametrize(("estimator", "explainer"), UNFIT)
def test_explainers_that_do_not_fit(estimator: str, explainer: str, api: Api) -> None:
    answer = explain(api, table_model(api, estimator), parameters={"explainer": explainer})
    refused(answer, "parameters", "explainer", code="explanation-unsupported", slug="explanation-unsupported")


def test_explainers_of_other_modalities_and_too_many_columns(api: Api) -> None:
    wide = table_model(api, columns=numeric_columns(13))
    unsupported = {"code": "explanation-unsupported", "slug": "explanation-unsupported"}
    refused(explain(api, wide, parameters={"explainer": "exact"}), "parameters", "explainer", **unsupported)
    answer = explain(api, text_model(api), inputs=["a"], parameters={"explainer": "tree"})
    refused(answer, "parameters", "explainer", **unsupported)
    spec = {"spec": '{"method": "shap", "parameters": {"explainer": "linear"}}'}
    path, files = f"/v1/models/{api.ours.ids['model_id']}/explanations", [("file", ("a.png", png()))]
    refused(api.call("POST", path, files=files, data=spec), "parameters", "explainer", **unsupported)
    problem(explain(api, wide, parameters={"explainer": "kernel"}), 422, "validation")
    assert len(asked_inputs(api, explain(api, wide))) == 1


def test_pictures_are_of_one_text_and_one_target(api: Api) -> None:
    table, text = table_model(api), text_model(api)
    problem(explain(api, table, accept="image/png"), 422, "validation")
    problem(explain(api, text, inputs=["a", "b"], accept="image/png"), 422, "validation")
    problem(explain(api, text, inputs=["a"], targets=LABELS, accept="image/png"), 422, "validation")
    assert len(asked_inputs(api, explain(api, text, inputs=["a"], targets=["long"], accept="image/png"))) == 1


def test_tables_are_of_rows_and_texts(api: Api) -> None:
    path, files = f"/v1/models/{api.ours.ids['model_id']}/explanations", [("file", ("a.png", png()))]
    answer = api.call("POST", path, files=files, data={"spec": '{"method": "shap"}'}, headers={"Accept": "text/csv"})
    problem(answer, 422, "validation")
    for model, one in ((table_model(api), {}), (text_model(api), "a")):
        answer = explain(api, model, inputs=[one], accept="text/csv, */*;q=0.1")
        assert answer.headers["content-type"] == "application/json"
        assert len(asked_inputs(api, answer)) == 1


BUDGETS: list[tuple[str, dict[str, Any], int, list[str]]] = [
    ("lime", {"parameters": {"samples": 10_000}}, 6, ["parameters", "samples"]),
    ("lime", {"parameters": {"samples": 500}, "evaluate": True}, 23, ["parameters", "samples"]),
    ("shap", {"parameters": {"evaluations": 10_000}}, 6, ["parameters", "evaluations"]),
    ("shap", {"evaluate": True}, 23, ["parameters", "evaluations"]),
    ("integrated_gradients", {"parameters": {"steps": 512}}, 8, ["parameters", "steps"]),
    ("integrated_gradients", {"parameters": {"steps": 512}, "targets": LABELS}, 5, ["parameters", "steps"]),
    ("integrated_gradients", {"evaluate": True}, 25, ["parameters", "steps"]),
    ("occlusion", {"evaluate": True}, 52, ["method"]),
]


@pytest.mark.parametrize(("method", "fields", "most", "field"), BUDGETS)
def test_s41_what_texts_may_cost(method: str, fields: Any, most: int, field: list[str], api: Api) -> None:
    model = text_model(api)
    assert len(asked_inputs(api, explain(api, model, inputs=["a"] * most, method=method, **fields))) == most
    answer = explain(api, model, inputs=["a"] * (most + 1), method=method, **fields)
    refused(answer, *field, code="budget", slug="budget-exceeded")


def test_s41_what_rows_may_cost(api: Api) -> None:
    dataset, wide = table_dataset(api, columns=numeric_columns(12), rows=2000), numeric_columns(12)
    network = table_model(api, columns=wide)
    assert len(asked_inputs(api, explain(api, network, dataset_id=dataset, limit=610))) == 610
    answer = explain(api, network, dataset_id=dataset, limit=611)
    refused(answer, "parameters", "background_rows", code="budget", slug="budget-exceeded")
    fewer = explain(api, network, dataset_id=dataset, limit=2000, parameters={"background_rows": 30})
    assert len(asked_inputs(api, fewer)) == 2000
    judged = explain(api, network, dataset_id=dataset, limit=2000, evaluate=True, parameters={"background_rows": 30})
    refused(judged, "parameters", "background_rows", code="budget", slug="budget-exceeded")


def test_s41_how_long_an_answer_may_be(api: Api) -> None:
    labels = [f"c{place}" for place in range(16)]
    model = table_model(api, "linear", columns=numeric_columns(40), classes=labels)
    dataset = table_dataset(api, columns=numeric_columns(40), rows=2000)
    answer = explain(api, model, dataset_id=dataset, limit=2000, targets=labels)
    refused(answer, code="budget", slug="budget-exceeded")
    assert len(asked_inputs(api, explain(api, model, dataset_id=dataset, limit=1562, targets=labels))) == 1562
