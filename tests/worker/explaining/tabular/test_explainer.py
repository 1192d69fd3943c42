import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from service.errors import Invalid, Stopped
from service.specs.explanations import ExplanationSpec
from tests.worker.explaining.tabular.models import (
    SPECS,
    Asked,
    Given,
    explain,
    fitted,
    mixed,
    numbers,
    quiet,
    values_of,
    written,
)
from worker.data.table import table_of
from worker.explaining.tabular.explainer import explain_rows

WAYS: list[tuple[str, str, dict[str, Any]]] = [
    *[(name, "shap", {"background_rows": 20}) for name in SPECS],
    ("mlp", "shap", {"explainer": "permutation", "background_rows": 20, "evaluations": 50}),
    ("mlp", "shap", {"explainer": "gradient", "background_rows": 20, "evaluations": 50}),
    ("gradient_boosting", "shap", {"explainer": "exact", "background_rows": 20}),
    ("mlp", "lime", {"samples": 100}),
    ("dart", "lime", {"samples": 100}),
]
GRID = pytest.mark.parametrize(("name", "method", "asked"), WAYS)


@GRID
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_every_row_alone_is_as_in_a_batch_and_nothing_is_changed(
    name: str, method: str, asked: dict[str, Any], classes: int
) -> None:
    trained, table = mixed(name, classes)
    rows = table.take(np.arange(8))
    before = trained.outputs(trained.encode(rows))
    together = explain(trained, rows, method, **asked)
    alone = [values_of(explain(trained, table.take([place]), method, **asked))[0] for place in range(8)]
    assert values_of(together) == pytest.approx(np.array(alone), abs=1e-5)
    assert np.array_equal(trained.outputs(trained.encode(rows)), before)


@GRID
def test_sixteen_threads_on_one_model(name: str, method: str, asked: dict[str, Any]) -> None:
    trained, table = mixed(name, 2)
    serial = [values_of(explain(trained, table.take([place]), method, **asked)) for place in range(4)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda turn: explain(trained, table.take([turn % 4]), method, **asked), range(16)))
    for turn, one in enumerate(found):
        assert values_of(one) == pytest.approx(serial[turn % 4], abs=1e-6)


@GRID
def test_what_is_answered_is_what_serving_answers(name: str, method: str, asked: dict[str, Any]) -> None:
    trained, table = mixed(name, 3)
    rows = table.take(np.arange(6))
    found = explain(trained, rows, method, **asked)
    served = trained.probabilities(trained.outputs(trained.encode(rows)))
    assert len({item.targets[0].label for item in found.items}) > 1
    for item, row in zip(found.items, served, strict=True):
        assert item.prediction["label"] == trained.classes[row.argmax()]
        assert item.targets[0].label == item.prediction["label"]
        assert list(item.prediction["probabilities"].values()) == pytest.approx(row, abs=1e-12)
        if item.targets[0].space == "probability":
            assert item.targets[0].output_value == item.prediction["probability"]
        if item.targets[0].base_value is not None:
            assert item.targets[0].base_value != 0
    json.dumps([vars(target) for item in found.items for target in item.targets], allow_nan=False)


def test_raw_values_are_echoed() -> None:
    trained, table = mixed("gradient_boosting", 0)
    row = {"age": 41.5, "member": 1.0, "colour.of = thing": "mauve", "note": "a b", "seen": 1.6e9 + 0.25}
    rows = table_of(table.schema, [row, {"seen": 0.0, "member": 0.0}])
    found = explain(trained, rows)
    values = [[one["value"] for one in item.targets[0].attributions] for item in found.items]
    assert values == [
        [41.5, True, "mauve", "a b", "2020-09-13T12:26:40.250000Z"],
        [None, False, None, None, "1970-01-01T00:00:00Z"],
    ]
    assert [one["feature"] for one in found.items[0].targets[0].attributions] == [c.name for c in table.schema]
    assert set(found.items[0].prediction) == {"value"}
    assert found.items[0].targets[0].label is None


def test_the_spec_of_a_request_is_taken_as_it_is() -> None:
    trained, table = mixed("linear", 2)
    spec = ExplanationSpec(method="shap", targets=["yes"])
    found = explain_rows(trained, table.take([0]), spec, progress=quiet)
    assert found.items[0].targets[0].label == "yes"


@pytest.mark.parametrize(
    ("method", "asked", "loc"),
    [
        ("shap", {"targets": ["no", "never"]}, ("targets", 1)),
        ("shap", {"samples": 100}, ("parameters", "samples")),
        ("shap", {"baseline": "blur"}, ("parameters", "baseline")),
        ("lime", {"segments": 9}, ("parameters", "segments")),
        ("lime", {"evaluations": 100}, ("parameters", "evaluations")),
    ],
)
def test_what_does_not_belong_is_named(method: str, asked: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    trained, table = mixed("linear", 2)
    with pytest.raises(Invalid) as caught:
        explain(trained, table, method, **asked)
    assert [fault.loc for fault in caught.value.errors] == [loc]


def test_a_regression_has_no_labels() -> None:
    trained, table = mixed("linear", 0)
    with pytest.raises(Invalid) as caught:
        explain(trained, table, targets=["no"])
    assert caught.value.errors[0].loc == ("targets",)


def test_progress_comes_to_its_end_and_may_stop_the_work() -> None:
    trained, table = mixed("mlp", 2)
    calls: list[tuple[int, int]] = []
    spec = Asked(parameters=Given({"background_rows": 10}), evaluate=True)
    explain_rows(trained, table.take([0, 1]), spec, progress=lambda *call: calls.append(call))
    assert len(calls) > 2
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert len({total for _, total in calls}) == 1

    def stop(_done: int, _total: int) -> None:
        raise Stopped("now")

    with pytest.raises(Stopped):
        explain_rows(trained, table.take([0, 1]), spec, progress=stop)


@GRID
def test_good_attributions_are_judged_reliable_in_any_batch(name: str, method: str, asked: dict[str, Any]) -> None:
    columns = np.random.default_rng(3).normal(size=(200, 4)).astype(np.float32).astype(float)
    table = numbers(columns)
    trained = fitted(name, table, (2 * columns[:, 1] - columns[:, 2] > 0).astype(int), classes=2)
    rows = np.arange(5)
    found = explain(trained, table.take(rows), method, evaluate=True, **asked)
    judged = [item.quality for item in found.items]
    for quality in judged:
        assert quality is not None
        assert set(quality) == {
            "deletion_auc",
            "insertion_auc",
            "random_control",
            "stability",
            "randomisation",
            "reliable",
        }
        assert (quality["stability"] is None) == (found.explainer in ("tree", "linear", "exact"))
    if (name, method) != ("mlp", "lime"):  # its weights are random: around a row it is no line, and LIME may fail
        gains = [one["insertion_auc"] - one["deletion_auc"] for one in judged if one is not None]
        assert min(gains) > 0
        assert np.mean([one["reliable"] for one in judged if one is not None]) >= 0.8
    alone = explain(trained, table.take(rows[-1:]), method, evaluate=True, **asked)
    assert alone.items[0].quality == pytest.approx(judged[-1], abs=1e-5)


def test_attributions_turned_around_would_not_be_reliable(monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.explaining.tabular import exact

    trained = written(lambda x: 3 * x[:, 0] - x[:, 1], np.random.default_rng(0).normal(size=(30, 4)))
    row = numbers(np.array([[2.0, 2.0, 0.0, 0.0]]))
    good = explain(trained, row, evaluate=True)
    assert good.items[0].quality is not None
    assert good.items[0].quality["reliable"]
    right = exact.shapley_values
    monkeypatch.setattr(exact, "shapley_values", lambda answers: -right(answers))
    bad = explain(trained, row, evaluate=True)
    assert bad.items[0].quality is not None
    assert not bad.items[0].quality["reliable"]
    assert {"unreliable", "not-additive"} <= {warning["code"] for warning in bad.warnings}


def test_a_model_that_does_not_care_is_degenerate() -> None:
    found = explain(written(lambda x: np.full(len(x), 7.0), np.eye(4)), numbers(np.ones((1, 4))), evaluate=True)
    target = found.items[0].targets[0]
    assert target.degenerate
    assert target.base_value == 7.0
    assert found.items[0].quality is not None
    assert not found.items[0].quality["reliable"]
    assert {warning["code"] for warning in found.warnings} == {"degenerate-map", "unreliable"}
