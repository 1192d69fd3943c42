import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from tests.worker.explaining.tabular.models import Floats, explain, fitted, mixed, numbers, values_of, written
from tests.worker.explaining.tabular.references import import_lime
from worker.data.table import Table
from worker.explaining.tabular.perturbed import perturbed

COLUMNS = np.random.default_rng(9).normal(size=(100, 10)) * np.linspace(0.5, 5, 10)
COLUMNS = COLUMNS.astype(np.float32).astype(float)
COEFFICIENTS = np.array([0.0, 0.1, 3.0, -0.2, 0.0, 0.3, -0.1, -2.0, 0.2, 0.0])
TABLE = numbers(COLUMNS)


def test_on_a_linear_model_the_weights_are_its_coefficients() -> None:
    """Per standard deviation of the background; the surrogate's ridge takes off a little."""
    found = explain(written(lambda x: x @ COEFFICIENTS, COLUMNS), TABLE.take([0, 5, 9]), "lime")
    expected = COEFFICIENTS * COLUMNS.std(axis=0)
    for item, values in zip(found.items, values_of(found), strict=True):
        assert values == pytest.approx(expected, abs=0.02 * np.abs(expected).max())
        target = item.targets[0]
        assert (target.space, target.additivity, target.base_value) == ("value", None, None)
        assert target.fit is not None
        assert set(target.fit) == {"r2", "intercept", "local_prediction"}
        assert target.fit["r2"] > 0.99
        assert target.fit["local_prediction"] == pytest.approx(target.output_value, rel=0.05, abs=0.5)


def test_other_seeds_find_the_same_two_columns_with_their_signs() -> None:
    """A logistic model, in probabilities, as test 1 of the design has it."""
    target = (3 * COLUMNS[:, 2] - 2 * COLUMNS[:, 7] > 0).astype(int)
    trained = fitted("linear", TABLE, target, classes=2)
    for seed in range(6):
        values = values_of(explain(trained, TABLE.take(np.arange(5)), "lime", seed=seed, targets=["yes"]))
        assert all(set(np.argsort(-np.abs(row))[:2]) == {2, 7} for row in values)
        assert np.all(values[:, 2] > 0)
        assert np.all(values[:, 7] < 0)


def test_one_seed_is_one_answer() -> None:
    trained, table = mixed("gradient_boosting", 3)
    rows = table.take([3, 4])

    def answer(rows: Table, seed: int) -> list[str]:
        found = explain(trained, rows, "lime", seed=seed, targets=["maybe", "no"], samples=300)
        return [json.dumps([vars(target) for target in item.targets]) for item in found.items]

    assert answer(rows, 1) == answer(rows, 1) != answer(rows, 2)
    assert answer(table.take([4]), 1) == answer(rows, 1)[1:]


def test_agrees_with_pypi_lime_on_the_top_two() -> None:
    """Undiscretised, around the same mean and spread, with the same kernel width."""
    data = load_breast_cancer()
    columns = data.data[:, [0, 1, 4, 8, 20, 21, 24, 28]]
    table = numbers(columns)
    trained = fitted("linear", table, data.target, classes=2)
    background = np.stack(list(trained.background.values.values()), axis=1)

    def probabilities(rows: Floats) -> Floats:
        return trained.probabilities(trained.outputs(trained.encode(numbers(rows))))

    reference = import_lime().LimeTabularExplainer(background, discretize_continuous=False, random_state=0)
    rows = np.arange(0, 120, 10)
    agreed = 0
    for row, values in zip(rows, values_of(explain(trained, table.take(rows), "lime", targets=["yes"])), strict=True):
        found = reference.explain_instance(columns[row], probabilities, labels=(1,), num_features=8, num_samples=2000)
        weights = dict(found.as_map()[1])
        top = sorted(weights, key=lambda place: -abs(weights[place]))[:2]
        agreed += set(top) == set(np.argsort(-np.abs(values))[:2])
        assert all(np.sign(weights[place]) == np.sign(values[place]) for place in top)
    assert agreed >= 11


def test_only_so_many_features_are_kept() -> None:
    found = explain(written(lambda x: x @ COEFFICIENTS, COLUMNS), TABLE.take([0]), "lime", features=2)
    assert np.flatnonzero(values_of(found)[0]).tolist() == [2, 7]
    assert found.parameters == {"samples": 1000, "features": 2, "kernel_width": pytest.approx(0.75 * np.sqrt(10))}


def test_perturbations_follow_the_background() -> None:
    _, table = mixed("linear", 2)
    index = next(i for i, value in enumerate(table.values["age"]) if np.isnan(value))
    found = perturbed(table, 3, table, samples=5000, seed=0)
    ages, known = found.table.values["age"], table.values["age"]
    assert ages[0] == known[3]
    assert ages.mean() == pytest.approx(np.nanmean(known), abs=0.6)
    assert ages.std() == pytest.approx(np.nanstd(known), rel=0.05)
    assert np.corrcoef(ages, found.components[:, 0])[0, 1] == pytest.approx(1)
    colours = found.table.values["colour.of = thing"].astype(str)
    own = str(table.values["colour.of = thing"][3])
    share = np.mean([str(value) == own for value in table.values["colour.of = thing"]])
    assert np.mean(colours == own) == pytest.approx(0.5 + share / 2, abs=0.03)
    assert np.array_equal(found.components[:, 2], (colours == own).astype(float))
    missing = perturbed(table, index, table, samples=5000, seed=0)
    assert np.array_equal(missing.components[:, 0], np.isnan(missing.table.values["age"]))
    assert 0.5 < missing.components[:, 0].mean() < 0.6
    assert np.all(missing.components[0][1:4] == 1)


def test_a_row_far_from_everything_is_warned_of() -> None:
    row = COLUMNS[:1] + 1e4
    found = explain(written(lambda x: x @ COEFFICIENTS, COLUMNS), numbers(row), "lime")
    assert "few-neighbours" in {warning["code"] for warning in found.warnings}
    assert not explain(written(lambda x: x @ COEFFICIENTS, COLUMNS), TABLE.take([0]), "lime").warnings
