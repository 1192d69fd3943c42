"""Linear models over HTTP (design: explain.md §3, cases 1, 4, 5 and 17)."""

import numpy as np
import pytest

from tests.e2e.explaining.asking import Model, Models, Row, attributions, numbers
from tests.e2e.explaining.tables import Floats, names

pytestmark = pytest.mark.timeout(240)


def slopes(model: Model, *, log_odds: bool = False) -> Floats:
    """[p] by finite differences of what serving answers; of two classes for the second."""
    columns = model.columns
    rows = [dict.fromkeys(columns, 0.0) | ({name: 1.0} if name else {}) for name in [None, *columns]]
    answers = model.margins(rows)[:, 1] if log_odds else model.values(rows)
    found: Floats = answers[1:] - answers[0]
    return found


def mean_of(rows: list[Row], columns: list[str]) -> Floats:
    mean: Floats = numbers(rows, columns).mean(axis=0)
    return mean


def test_case_1_a_linear_model_is_its_coefficients(models: Models) -> None:
    model = models["linear"]
    rows = model.of_split("test")[:20]
    found = model.explain([{name: float(row[name]) for name in row} for row in rows])
    assert (found["explainer"], found["baseline"]["kind"]) == ("linear", "training_mean")
    mean = mean_of(model.of_split("train"), model.columns)
    expected = slopes(model) * (numbers(rows, model.columns) - mean)
    spread = np.std([float(row["y"]) for row in model.rows])
    shares = attributions(found)
    assert np.abs(shares - expected).max() <= 1e-4 * spread
    planted = np.zeros(10)
    planted[[2, 7]] = 3, -2
    assert np.abs(shares - planted * (numbers(rows, model.columns) - mean)).max() <= 1e-4 * spread
    others = [place for place in range(10) if place not in (2, 7)]
    assert np.abs(shares[:, others]).max() <= 1e-3
    assert all(item["targets"][0]["space"] == "value" for item in found["items"])


def test_case_1_a_logistic_model_in_log_odds(models: Models) -> None:
    model = models["logistic"]
    rows = [{name: float(row[name]) for name in row} for row in model.of_split("test")[:20]]
    found = model.explain(rows, targets=["yes"])
    expected = slopes(model, log_odds=True) * (
        numbers(rows, model.columns) - mean_of(model.of_split("train"), model.columns)
    )
    spread = float(np.std(model.margins(rows)[:, 1]))
    assert np.abs(attributions(found) - expected).max() <= 1e-4 * spread
    assert all(item["targets"][0]["space"] == "log_odds" for item in found["items"])


def test_case_4_no_column_is_dropped_on_the_model_agnostic_path(models: Models) -> None:
    model = models["dense"]
    rows = [{name: float(row[name]) for name in row} for row in model.of_split("test")[:4]]
    found = model.explain(rows, explainer="permutation")
    assert (found["explainer"], found["baseline"]["rows"]) == ("permutation", len(model.background))
    expected = slopes(model) * (numbers(rows, model.columns) - mean_of(model.background, model.columns))
    shares = attributions(found)
    assert np.abs(shares).min() > 0
    errors = np.linalg.norm(shares - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert errors.max() <= 1e-2


@pytest.mark.parametrize("explainer", ["exact", "permutation", "linear"])
def test_case_5_swapped_values_swap_their_shares(models: Models, explainer: str) -> None:
    """All rows of the train split are kept with the model: its background is as symmetric as `y` is."""
    model = models["mirrored"]
    assert len(model.background) == len(model.of_split("train"))
    found = model.explain([{"x0": 1.25, "x1": -0.5}, {"x0": -0.5, "x1": 1.25}], explainer=explainer)
    one, other = attributions(found)
    assert np.abs(one - other[::-1]).max() <= 1e-4
    assert np.abs(one).min() > 0.1


def test_case_17_lime_is_its_seed_and_finds_what_counts(models: Models) -> None:
    model = models["linear"]
    row = dict.fromkeys(names(10), 1.0)
    first, again = (model.explain([row], "lime", seed=3, samples=500) for _ in range(2))
    assert first["items"] == again["items"]
    for seed in (3, 4, 5):
        found = model.explain([row], "lime", seed=seed, samples=500)
        (weights,) = attributions(found)
        (target,) = found["items"][0]["targets"]
        assert {*np.argsort(-np.abs(weights))[:2]} == {2, 7}
        assert (np.sign(weights[2]), np.sign(weights[7])) == (1, -1)
        assert 0.9 < target["fit"]["r2"] <= 1
        assert target["additivity"] is None
    assert attributions(model.explain([row], "lime", seed=4, samples=500)).tolist() != attributions(first).tolist()


def test_case_17_lime_of_a_classifier_has_the_signs_of_its_coefficients(models: Models) -> None:
    model = models["logistic"]
    found = model.explain([dict.fromkeys(names(10), 0.0)], "lime", targets=["yes", "no"], samples=500)
    coefficients = slopes(model, log_odds=True)
    for target, sign in ((0, 1), (1, -1)):
        (weights,) = attributions(found, target)
        assert {*np.argsort(-np.abs(weights))[:2]} == {2, 7}
        assert np.array_equal(np.sign(weights[[2, 7]]), sign * np.sign(coefficients[[2, 7]]))
        assert 0 < found["items"][0]["targets"][target]["fit"]["r2"] <= 1
