import json
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from service.errors import ExplanationUnsupported
from tests.worker.explaining.tabular.models import Floats, explain, fitted, mixed, numbers, values_of
from tests.worker.explaining.tabular.references import import_shap
from worker.estimators.boosted import Boosted
from worker.estimators.trained_table import TrainedTable

RANDOM = np.random.default_rng(1)
COLUMNS = RANDOM.normal(size=(300, 4)).astype(np.float32).astype(float)
SCORE = COLUMNS[:, 0] * COLUMNS[:, 1] + np.abs(COLUMNS[:, 2])
TABLE = numbers(COLUMNS)
FAMILIES = ["gradient_boosting", "random_forest"]


def ranked(classes: int) -> Any:
    return SCORE.argsort().argsort() * classes // len(SCORE) if classes else SCORE


def path_dependent(tree: dict[str, Any], row: Floats, known: frozenset[int], node: int = 0) -> float:
    """The answer where only some columns are known: at a split on another, both branches by their cover."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left == -1:
        return float(tree["split_conditions"][node])
    column = tree["split_indices"][node]
    if column in known:
        below = row[column] < np.float32(tree["split_conditions"][node])
        return path_dependent(tree, row, known, left if below else right)
    covers = tree["sum_hessian"]
    return (
        covers[left] * path_dependent(tree, row, known, left) + covers[right] * path_dependent(tree, row, known, right)
    ) / (covers[left] + covers[right])


def brute_force(trees: list[dict[str, Any]], row: Floats) -> Floats:
    """Shapley values of the sum of `trees` by all coalitions."""
    players = range(len(row))
    values = np.zeros(len(row))
    for player in players:
        others = [other for other in players if other != player]
        for size in range(len(row)):
            weight = math.factorial(size) * math.factorial(len(row) - size - 1) / math.factorial(len(row))
            for chosen in combinations(others, size):
                known = frozenset(chosen)
                for tree in trees:
                    gain = path_dependent(tree, row, known | {player}) - path_dependent(tree, row, known)
                    values[player] += weight * gain
    return values


def trees_of(trained: TrainedTable) -> list[dict[str, Any]]:
    predictor = trained.predictor
    assert isinstance(predictor, Boosted)
    learner = json.loads(predictor.booster.save_raw("json"))["learner"]
    found: list[dict[str, Any]] = learner["gradient_booster"]["model"]["trees"]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_brute_force_by_all_coalitions(family: str) -> None:
    trained = fitted(family, TABLE, SCORE, classes=0, rounds=3)
    found = explain(trained, TABLE.take([0, 1, 2]))
    assert (found.explainer, found.fallback, found.baseline) == ("tree", None, {"kind": "tree_cover"})
    expected = [brute_force(trees_of(trained), COLUMNS[index]) for index in range(3)]
    assert values_of(found) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("classes", "space"), [(0, "value"), (2, "log_odds"), (3, "logit")])
def test_it_adds_up_to_what_is_served(family: str, classes: int, space: str) -> None:
    trained, table = mixed(family, classes)
    rows = table.take(np.arange(40))
    found = explain(trained, rows, targets=trained.classes or "predicted")
    outputs = trained.outputs(trained.encode(rows))
    for place in range(max(classes, 1)):
        answers = outputs[:, place] / trained.temperature
        if classes == 2:
            answers = answers - outputs[:, 1 - place] / trained.temperature
        base = np.array([item.targets[place].base_value for item in found.items])
        assert base + values_of(found, place).sum(axis=1) == pytest.approx(answers, abs=1e-6)
        for item in found.items:
            assert item.targets[place].space == space
            assert item.targets[place].additivity is not None
            assert item.targets[place].additivity["residual"] <= 5e-6
            assert item.targets[place].additivity["passed"]


def test_many_rounds_add_up_in_spite_of_float32() -> None:
    trained = fitted("gradient_boosting", TABLE, ranked(2), classes=2, rounds=400)
    found = explain(trained, TABLE)
    outputs = trained.outputs(trained.encode(TABLE))
    served = (outputs.max(axis=1) - outputs.min(axis=1)) / trained.temperature
    base = np.array([item.targets[0].base_value for item in found.items])
    assert base + values_of(found).sum(axis=1) == pytest.approx(served, abs=1e-9)
    told = [item.targets[0].additivity for item in found.items]
    assert all(one is not None and one["passed"] for one in told)
    assert max(one["residual"] for one in told if one is not None) > 1e-7


def test_agrees_with_shap() -> None:
    trained = fitted("gradient_boosting", TABLE, ranked(2), classes=2, rounds=10)
    assert isinstance(trained.predictor, Boosted)
    reference = import_shap().TreeExplainer(trained.predictor.booster).shap_values(COLUMNS[:20])
    found = explain(trained, TABLE.take(np.arange(20)), targets=["yes", "no"])
    assert values_of(found, 0) * trained.temperature == pytest.approx(reference, abs=1e-5)
    assert values_of(found, 1) == pytest.approx(-values_of(found, 0), abs=1e-12)


@pytest.mark.parametrize(("classes", "space"), [(2, "probability"), (0, "value")])
def test_dart_is_explained_by_another_way_and_says_why(classes: int, space: str) -> None:
    trained = fitted("dart", TABLE, ranked(classes), classes=classes)
    found = explain(trained, TABLE.take([0, 1]))
    assert found.explainer == "exact"
    assert found.fallback is not None
    assert "DART" in found.fallback
    for item in found.items:
        assert item.targets[0].space == space
        assert item.targets[0].additivity is not None
        assert item.targets[0].additivity["residual"] <= 1e-5
    with pytest.raises(ExplanationUnsupported, match="DART"):
        explain(trained, TABLE, explainer="tree")


def test_dart_of_many_columns_is_sampled() -> None:
    columns = RANDOM.normal(size=(60, 14)).astype(np.float32).astype(float)
    trained = fitted("dart", numbers(columns), columns.sum(axis=1), classes=0, rounds=4)
    found = explain(trained, numbers(columns[:1]), background_rows=20)
    assert found.explainer == "permutation"
    assert found.fallback is not None
    assert "DART" in found.fallback
