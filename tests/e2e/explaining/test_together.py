"""All rows of a dataset together: importance, summaries, plots and tables to download, over HTTP."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.explaining.asking import Model, Models, attributions
from tests.e2e.explaining.tables import SIZES

pytestmark = pytest.mark.timeout(240)


def downloaded(model: Model, explanation: dict[str, Any]) -> list[dict[str, str]]:
    """The explanation as a CSV file."""
    answer = model.get(f"/v1/explanations/{explanation['id']}", Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert explanation["id"] in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def check_plots(model: Model, explanation: dict[str, Any], *names: str) -> None:
    assert [*explanation["plots"]] == [*names]
    for url in explanation["plots"].values():
        answer = model.get(url)
        picture = Image.open(io.BytesIO(answer.content))
        assert (answer.headers["content-type"], picture.format) == ("image/png", "PNG")
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


@pytest.mark.parametrize("name", ["linear", "logistic", "network"])
def test_shuffling_a_column_of_noise_costs_nothing(models: Models, name: str) -> None:
    signal = {"linear": {"x2", "x7"}, "logistic": {"x2", "x7"}, "network": {"x0", "x1", "x2", "x3"}}[name]
    model = models[name]
    found = model.explain(None, "permutation", limit=500, repeats=10)
    importance = {entry["feature"]: entry["importance"] for entry in found["summary"]}
    assert {*importance} == {*model.columns}
    noise = max(abs(value) for feature, value in importance.items() if feature not in signal)
    assert noise <= 0.02
    assert min(importance[feature] for feature in signal) > 2 * noise
    assert [entry["feature"] for entry in found["summary"]][: len(signal)] == sorted(
        signal, key=lambda f: -importance[f]
    )
    assert [item["targets"] for item in found["items"]] == [[]] * len(found["items"])
    check_plots(model, found, "bar")
    table = {row["feature"]: row for row in downloaded(model, found)}
    assert {feature: float(row["importance"]) for feature, row in table.items()} == importance


def test_a_summary_is_the_mean_of_what_its_rows_say(models: Models) -> None:
    model = models["boosted"]
    found = model.explain(None, split="test", limit=500)
    assert len(found["items"]) == len(model.of_split("test"))
    mean = np.abs(attributions(found)).mean(axis=0)
    summary = {entry["feature"]: entry["mean_absolute_attribution"] for entry in found["summary"]}
    assert summary == pytest.approx(dict(zip(model.columns, mean.tolist(), strict=True)), abs=1e-12)
    assert [*summary.values()] == sorted(summary.values(), reverse=True)
    check_plots(model, found, "bar", "beeswarm")
    alone = model.explain(model.of_split("test")[:1])
    assert (alone["summary"], alone["plots"]) == (None, {})


def test_rows_of_a_dataset_are_explained_as_rows_that_are_sent(models: Models) -> None:
    model = models["boosted"]
    found = model.explain(None, split="test", limit=5)
    sent = model.explain(model.of_split("test")[:5])
    assert np.abs(attributions(found) - attributions(sent)).max() <= 1e-9
    shown = [[target["attributions"] for target in item["targets"]] for item in found["items"]]
    assert [[one["value"] for one in target[0]] for target in shown] == [
        [one["value"] for one in item["targets"][0]["attributions"]] for item in sent["items"]
    ]


def test_a_table_of_attributions_is_safe_and_exact(models: Models) -> None:
    """Categories and labels that begin as a formula does are guarded; numbers read back as the same."""
    model = models["boosted"]
    rows = [{"age": 30.125, "colour": "=red", "member": True, "note": "+1", "seen": "2024-02-03"}, {"age": -2.5}]
    found = model.explain(rows, targets=[*SIZES])
    table = downloaded(model, found)
    told = [
        (item["index"], target["label"], one)
        for item in found["items"] for target in item["targets"] for one in target["attributions"]
    ]  # fmt: skip
    assert len(table) == len(told) == 2 * 3 * len(model.columns)
    for row, (index, label, one) in zip(table, told, strict=True):
        assert (row["index"], row["feature"]) == (str(index), one["feature"])
        assert row["label"] == ("'-low" if label == "-low" else label)
        assert float(row["attribution"]) == one["attribution"]
    values = {row["feature"]: row["value"] for row in table[: len(model.columns)]}
    assert values == {
        **{"age": "30.125", "colour": "'=red", "member": "true", "note": "+1"},
        **{"seen": "2024-02-03T00:00:00Z", "unused": ""},
    }
    assert table[-len(model.columns)]["value"] == "-2.5"
    answer = model.get(f"/v1/explanations/{found['id']}")
    assert answer.headers["content-type"] == "application/json"
