"""Explanations that treat the model as a box, over HTTP (design: explain.md §3, cases 3, 6, 7, 18 and 19)."""

import hashlib
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

from tests.e2e.explaining.asking import Model, Models, Row, attributions, sixteen_at_once
from tests.e2e.explaining.tables import Floats
from tests.live import Live

pytestmark = pytest.mark.timeout(240)
CLASSES = ["a", "b", "c"]
FEW: tuple[str, dict[str, Any]] = ("shap", {"background_rows": 20})


def numeric(rows: list[Row]) -> list[Row]:
    return [{name: float(cell) for name, cell in row.items()} for row in rows]


def chosen_background(model: Model, count: int, sha256: str) -> list[Row]:
    """`count` of the rows kept with the model, evenly spaced; the explanation's digest says that it took the same."""
    kept = model.background
    rows = [kept[place] for place in np.linspace(0, len(kept) - 1, count).round().astype(int)]
    cells = [[row[name] for name in model.columns] for row in rows]
    assert hashlib.sha256(json.dumps(cells, separators=(",", ":")).encode()).hexdigest() == sha256
    return rows


def shapley_by_hand(model: Model, row: Row, background: list[Row]) -> Floats:
    """[p, c] from what serving answers to all coalitions."""
    columns = model.columns
    coalitions = [set(chosen) for size in range(7) for chosen in itertools.combinations(columns, size)]
    composed = [other | {name: row[name] for name in shown} for shown in coalitions for other in background]
    answers = model.probabilities(composed).reshape(len(coalitions), len(background), -1).mean(axis=1)
    worth = {frozenset(shown): answer for shown, answer in zip(coalitions, answers, strict=True)}
    shares = []
    for name in columns:
        without = [shown for shown in worth if name not in shown]
        weights = [math.factorial(len(s)) * math.factorial(5 - len(s)) / math.factorial(6) for s in without]
        shares.append(sum(w * (worth[s | {name}] - worth[s]) for w, s in zip(weights, without, strict=True)))
    return np.array(shares)


def test_case_3_exact_values_by_brute_force_over_http(models: Models) -> None:
    model = models["network"]
    rows = numeric(model.of_split("test")[:2])
    found = model.explain(rows, targets=CLASSES, background_rows=10)
    assert found["explainer"] == "exact"
    background = chosen_background(model, 10, found["baseline"]["sha256"])
    for place, row in enumerate(rows):
        expected = shapley_by_hand(model, row, background)
        for target in range(3):
            assert np.abs(attributions(found, target)[place] - expected[:, target]).max() <= 1e-4


def test_case_7_classes_of_a_network_cancel_out(models: Models) -> None:
    model = models["network"]
    found = model.explain(numeric(model.of_split("test")[:8]), targets=CLASSES)
    shares = np.stack([attributions(found, target) for target in range(3)])
    assert np.abs(shares.sum(axis=0)).max() <= 1e-6
    assert np.abs(shares).max() > 0.1


def test_case_6_permutations_converge_with_their_budget(models: Models) -> None:
    model = models["interacting"]
    rows = numeric(model.of_split("test")[:2])
    exact = attributions(model.explain(rows, explainer="exact", background_rows=10))
    errors = {}
    for budget in (50, 200, 1000):
        found = [
            model.explain(rows, explainer="permutation", background_rows=10, evaluations=budget, seed=seed)
            for seed in range(5)
        ]
        assert all(one["evaluations"]["forward"] <= budget * 10 * len(rows) for one in found)
        off = [np.linalg.norm(attributions(one) - exact) / np.linalg.norm(exact) for one in found]
        errors[budget] = float(np.mean(off))
    assert errors[200] <= 0.06
    assert errors[1000] <= 0.02
    assert errors[50] > errors[200] > errors[1000]


@pytest.mark.parametrize(("method", "asked"), [FEW, ("shap", {"explainer": "gradient"}), ("lime", {"samples": 200})])
def test_case_18_sixteen_at_once_are_as_one_by_one(
    live: Live, models: Models, method: str, asked: dict[str, Any]
) -> None:
    model, pid = models["network"], live.pid("explain worker")
    assert sixteen_at_once(model, numeric(model.of_split("test")[:4]), method, **asked) <= 1e-4
    assert live.pid("explain worker") == pid


@pytest.mark.parametrize("name", ["network", "boosted", "linear"])
def test_case_19_asking_why_changes_nothing_and_a_batch_is_its_rows(models: Models, name: str) -> None:
    model = models[name]
    rows = model.of_split("test")[:8]
    before = model.predict(rows)
    for method, asked in (FEW, ("lime", {"samples": 100}), ("shap", {"background_rows": 5, "evaluate": True})):
        together = model.explain(rows, method, **asked)
        alone = [attributions(model.explain([row], method, **asked))[0] for row in rows[:3]]
        assert np.abs(attributions(together)[:3] - np.array(alone)).max() <= 1e-5
    assert model.predict(rows) == before


def test_case_19_a_class_that_is_none(models: Models) -> None:
    model = models["network"]
    body = {"inputs": numeric(model.of_split("test")[:1]), "method": "shap", "targets": ["a", "99"]}
    answer = model.post(body)
    document = answer.json()
    assert (answer.status_code, document["type"]) == (422, "/problems/validation")
    assert document["errors"][0]["loc"] == ["body", "targets", 1]
