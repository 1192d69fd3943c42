"""Trees over HTTP, on tables with every kind of column (design: explain.md §3, cases 2, 5, 7 and 8)."""

from typing import Any

import numpy as np
import pytest

from tests.e2e.explaining.asking import Model, Models, attributions, sums
from tests.e2e.explaining.tables import MIXED, SIZES

pytestmark = pytest.mark.timeout(240)
ODD: list[dict[str, Any]] = [
    {"age": None, "colour": "mauve", "member": True, "note": "=1+1", "seen": "2024-05-06T07:08:09Z", "unused": 8},
    {"age": 1e6, "colour": None, "member": None, "note": None, "seen": None, "unused": None},
    {"colour": "=red", "member": False, "unused": 1.5},
    {},
]
"""Gaps, a category that training never saw, texts that look like formulas, numbers far from any that were seen."""
FAMILIES = ["boosted", "boosted flag", "dart", "forest"]


def asked_rows(model: Model) -> list[dict[str, Any]]:
    return [*model.of_split("test")[:16], *ODD]


@pytest.mark.parametrize("name", FAMILIES)
def test_case_2_attributions_add_up_to_what_predictions_say(models: Models, name: str) -> None:
    model = models[name]
    rows = asked_rows(model)
    found = model.explain(rows)
    if name == "dart":
        assert found["explainer"] == "exact"
        assert "DART" in found["fallback"]
        served = model.probabilities(rows)
    else:
        assert (found["explainer"], found["fallback"]) == ("tree", None)
        served = model.values(rows)[:, None] if name == "forest" else model.margins(rows)
    classes = model.described["classes"] or [None]
    answers = [
        row[classes.index(item["targets"][0]["label"])] for row, item in zip(served, found["items"], strict=True)
    ]
    assert np.abs(sums(found) - answers).max() <= 1e-5
    for item, answer in zip(found["items"], answers, strict=True):
        (target,) = item["targets"]
        assert target["output_value"] == pytest.approx(answer, abs=1e-6)
        assert target["additivity"]["passed"]
        assert target["additivity"]["residual"] <= 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_case_8_raw_values_are_echoed_one_for_each_column(models: Models, name: str) -> None:
    found = models[name].explain(ODD)
    cells = [{one["feature"]: one["value"] for one in item["targets"][0]["attributions"]} for item in found["items"]]
    assert all([*row] == [*MIXED] for row in cells)
    assert cells[0] == ODD[0] | {"seen": "2024-05-06T07:08:09Z"}
    assert cells[1] == dict.fromkeys(MIXED) | {"age": 1e6}
    assert cells[2] == dict.fromkeys(MIXED) | ODD[2]
    assert cells[3] == dict.fromkeys(MIXED)


@pytest.mark.parametrize(("name", "explainer"), [("boosted", "tree"), ("boosted", "exact"), ("boosted", "permutation"),
                                                 ("dart", "exact")])  # fmt: skip
def test_case_5_columns_that_the_trees_cannot_use_get_nothing(models: Models, name: str, explainer: str) -> None:
    """`unused` was the same in every row and is another one now, a free text is not read: neither moves an answer."""
    rows = [row | {"unused": 8.0} for row in models[name].of_split("test")[:4]]
    found = models[name].explain(rows, explainer=explainer, targets=[*SIZES])
    for target in range(3):
        shares = attributions(found, target)
        assert np.abs(shares[:, [MIXED.index("unused"), MIXED.index("note")]]).max() <= 1e-6
        assert np.abs(shares).max() > 0.05


def test_case_7_shares_of_all_classes_cancel_out_in_probabilities(models: Models) -> None:
    model = models["dart"]
    found = model.explain(asked_rows(model), targets=[*SIZES])
    for item in found["items"]:
        assert [target["label"] for target in item["targets"]] == [*SIZES]
        assert {target["space"] for target in item["targets"]} == {"probability"}
    shares = np.stack([attributions(found, target) for target in range(3)])
    assert np.abs(shares.sum(axis=0)).max() <= 1e-6
    assert np.abs(shares).max() > 0.1
    bases = [target["base_value"] for target in found["items"][0]["targets"]]
    assert sum(bases) == pytest.approx(1, abs=1e-6)
