"""What the service counts before it accepts an explanation is never less than what the explanation takes."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from service.explanations.checks import counted_evaluations
from service.specs.explanations import ExplanationSpec, MethodParameters
from service.store.tables import ModelRow
from tests.worker.explaining.planted import planted
from tests.worker.explaining.tabular.models import SPECS, Asked, Given, fitted, numbers
from tests.worker.explaining.text.planted import small_text
from worker.backbones.trained import TrainedNetwork
from worker.estimators.trained_table import TrainedTable
from worker.explaining.explainer import EXPLAINERS, explain_images
from worker.explaining.quality import Judge
from worker.explaining.randomised import CALIBRATION_IMAGES
from worker.explaining.results import Explanation
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.choosing import choose_shap, seen_columns
from worker.explaining.tabular.explainer import explain_rows
from worker.explaining.tabular.judging import RowJudge
from worker.explaining.tabular.lime import Lime
from worker.explaining.tabular.parameters import RowParameters
from worker.explaining.text.explainer import TextExplainer, explain_texts
from worker.explaining.text.integrated_gradients import IntegratedGradients
from worker.explaining.text.lime import TextLime
from worker.explaining.text.occlusion import TextOcclusion
from worker.explaining.text.partition import TextPartition
from worker.explaining.text.quality import TextJudge

CLASSES = ["no", "yes", "maybe"]
SERVING_ANSWER = 1
IMAGES: dict[str, list[dict[str, Any]]] = {
    "grad_cam": [{}],
    "shap": [{}, *({"evaluations": many} for many in (32, 128, 129, 200, 10_000))],
    "lime": [{}, *({"samples": many} for many in (50, 500, 501, 560, 10_000))],
}
TEXTS: dict[str, list[dict[str, Any]]] = {
    "shap": IMAGES["shap"],
    "lime": IMAGES["lime"],
    "integrated_gradients": [{}, {"steps": 8}, {"steps": 512}],
    "occlusion": [{}, {"window": 3}],
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "shap": [{}, {"background_rows": 3}, {"evaluations": 10_000, "background_rows": 1}],
    "lime": [{}, {"samples": 50}, {"samples": 10_000}],
}
EXPLAINERS_OF = {
    "mlp": [None, "exact", "permutation", "gradient"],
    "linear": [None, "exact", "permutation"],
    "gradient_boosting": [None, "exact", "permutation"],
    "dart": [None, "permutation"],
    "random_forest": [None, "exact", "permutation"],
}
TARGETS: list[Any] = ["predicted", CLASSES]
JUDGED = [False, True]


def cases(asked: dict[str, list[dict[str, Any]]]) -> list[ExplanationSpec]:
    """Every method with its parameters, of one class and of all, judged or not."""
    return [
        ExplanationSpec.model_validate(
            {"method": method, "parameters": parameters, "targets": targets, "evaluate": evaluate}
        )
        for method in asked
        for parameters, targets, evaluate in product(asked[method], TARGETS, JUDGED)
    ]


def name_of(spec: ExplanationSpec) -> str:
    given = spec.parameters.model_dump(exclude_none=True)
    return f"{spec.method} {given} of {targets_of(spec)}{', judged' if spec.evaluate else ''}"


def row_of(problem: str, **fields: Any) -> ModelRow:
    return ModelRow(problem=problem, classes=CLASSES, backbone=None, estimator=None, **fields)


def table_row(trained: TrainedTable) -> ModelRow:
    columns = {"columns": [column.model_dump() for column in trained.schema]}
    row = row_of("tabular_classification", input=columns)
    row.estimator = trained.spec.model_dump()
    return row


def targets_of(spec: ExplanationSpec) -> int:
    return 1 if isinstance(spec.targets, str) else len(spec.targets)


def fits(cost: int, spec: ExplanationSpec, model: ModelRow) -> bool:
    counted, _ = counted_evaluations(spec, model)
    return cost <= (counted if spec.evaluate else counted + SERVING_ANSWER)


@pytest.mark.parametrize("spec", cases(IMAGES), ids=name_of)
def test_images(spec: ExplanationSpec) -> None:
    explainer = EXPLAINERS[spec.method](spec.parameters, 0)
    cost = explainer.cost(targets_of(spec)) + (Judge(explainer, 0).cost + CALIBRATION_IMAGES if spec.evaluate else 0)
    assert fits(cost, spec, row_of("image_classification", input={}))


@pytest.mark.parametrize("spec", cases(TEXTS), ids=name_of)
def test_texts(spec: ExplanationSpec) -> None:
    makers: dict[str, TextExplainer] = {
        "shap": TextPartition(spec.parameters),
        "lime": TextLime(spec.parameters, 0),
        "integrated_gradients": IntegratedGradients(spec.parameters, len(CLASSES)),
        "occlusion": TextOcclusion(spec.parameters, 512),
    }
    explainer = makers[spec.method]
    cost = explainer.cost(targets_of(spec)) + (TextJudge(explainer, 0).cost if spec.evaluate else 0)
    assert fits(cost, spec, row_of("text_classification", input={"max_tokens": 512}))


@pytest.mark.parametrize("columns", [4, 40])
@pytest.mark.parametrize("name", SPECS)
def test_rows(name: str, columns: int) -> None:
    trained = small_table(name, columns)
    for spec, explainer in product(cases(ROWS), EXPLAINERS_OF[name]):
        if explainer is not None and (spec.method != "shap" or (explainer, columns) == ("exact", 40)):
            continue
        asked = MethodParameters.model_validate({**spec.parameters.model_dump(), "explainer": explainer})
        chosen = spec.model_copy(update={"parameters": asked})
        assert fits(row_cost(trained, chosen), chosen, table_row(trained)), chosen


def small_table(name: str, columns: int) -> TrainedTable:
    values = np.random.default_rng(0).normal(size=(150, columns))
    return fitted(name, numbers(values), np.argmax(values[:, :3], axis=1), classes=3, rounds=2)


def row_cost(trained: TrainedTable, spec: ExplanationSpec) -> int:
    given = {key: value for key, value in spec.parameters.model_dump().items() if value is not None}
    asked = RowParameters.of(Asked(method=spec.method, parameters=Given(given)))
    background = Background.of(trained, asked.background_rows)
    explainer = Lime(background, asked, 0) if spec.method == "lime" else choose_shap(trained, asked, 0)[0]
    columns = seen_columns(trained)
    judge = RowJudge(explainer, background, 0).cost(columns) if spec.evaluate else 0
    return explainer.cost(columns, targets_of(spec)) + judge


def taken(found: Explanation) -> int:
    return found.evaluations["forward"] + found.evaluations["backward"]


@pytest.mark.parametrize(
    ("method", "parameters"), [("shap", {"evaluations": 129}), ("lime", {"samples": 501}), ("grad_cam", {})]
)
def test_images_take_no_more(untrained: TrainedNetwork, method: str, parameters: dict[str, Any]) -> None:
    network = TrainedNetwork(untrained.network, CLASSES, "small_cnn", 64, torch.device("cpu"))
    spec = ExplanationSpec.model_validate({"method": method, "parameters": parameters, "evaluate": True})
    found = explain_images(network, [planted(1, 0)[0]], spec, progress=lambda *_: None)
    assert 0 < taken(found) <= counted_evaluations(spec, row_of("image_classification", input={}))[0]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("shap", {"evaluations": 129}), ("lime", {"samples": 501}), ("occlusion", {}), ("integrated_gradients", {})],
)
def test_texts_take_no_more(method: str, parameters: dict[str, Any]) -> None:
    network = small_text("all-MiniLM-L6-v2", CLASSES, seed=0)
    spec = ExplanationSpec.model_validate(
        {"method": method, "parameters": parameters, "targets": CLASSES, "evaluate": True}
    )
    text = "the film of music and play to a server on this page with data as plot for an actor"
    found = explain_texts(network, [text], spec, progress=lambda *_: None)
    model = row_of("text_classification", input={"max_tokens": network.max_tokens})
    assert 0 < taken(found) <= counted_evaluations(spec, model)[0]


@pytest.mark.parametrize(
    ("explainer", "columns"), [("exact", 4), ("exact", 12), ("permutation", 12), ("permutation", 40), ("gradient", 40)]
)
def test_rows_take_no_more(explainer: str, columns: int) -> None:
    trained = small_table("mlp", columns)
    parameters = {"explainer": explainer, "background_rows": 2}
    spec = ExplanationSpec.model_validate(
        {"method": "shap", "parameters": parameters, "targets": CLASSES, "evaluate": True}
    )
    row = numbers(np.ones((1, columns)))
    asked = Asked(targets=CLASSES, parameters=Given(parameters), evaluate=True)
    found = explain_rows(trained, row, asked, progress=lambda *_: None)
    ends = 3 * 2  # the answers to the background, of the explanation and its two reseeded twins
    assert 0 < taken(found) <= row_cost(trained, spec) + ends
    assert taken(found) <= counted_evaluations(spec, table_row(trained))[0]
