import numpy as np
import pytest

from service.errors import Invalid
from tests.worker.explaining.tabular.models import Floats, explain, numbers, values_of, written

RANDOM = np.random.default_rng(2)
BACKGROUND = RANDOM.normal(size=(50, 10)).astype(np.float32).astype(float)
ROWS = RANDOM.normal(size=(4, 10)).astype(np.float32).astype(float)


def interacting(x: Floats) -> Floats:
    """Ten columns that matter, in products and bends of up to three: an order and its reverse are exact for pairs."""
    found: Floats = (
        2 * x[:, 0]
        + x[:, 1] * x[:, 2] * x[:, 0]
        + np.tanh(x[:, 3] + x[:, 4] + x[:, 1])
        + x[:, 5] * (x[:, 6] > 0) * x[:, 9]
        + 0.5 * np.sin(2 * x[:, 7]) * x[:, 8]
        + x[:, 9] ** 2
    )
    return found


def test_no_column_is_dropped_of_a_dense_linear_model() -> None:
    background, row = RANDOM.normal(size=(100, 15)), RANDOM.normal(size=(1, 15))
    coefficients = np.linspace(0.2, 3, 15) * np.where(np.arange(15) % 2, 1, -1)
    trained = written(lambda x: x @ coefficients, background.astype(np.float32).astype(float))
    found = explain(trained, numbers(row))
    values, expected = values_of(found)[0], coefficients * (row[0] - background.mean(axis=0))
    assert found.explainer == "permutation"
    assert found.fallback is None
    assert np.all(values != 0)
    assert np.linalg.norm(values - expected) <= 1e-6 * np.linalg.norm(expected)


def test_the_error_falls_with_the_budget() -> None:
    trained = written(interacting, BACKGROUND)
    table = numbers(ROWS)
    exact = values_of(explain(trained, table, explainer="exact"))

    def error(evaluations: int) -> float:
        found = [
            values_of(explain(trained, table, explainer="permutation", evaluations=evaluations, seed=seed))
            for seed in range(5)
        ]
        return float(np.mean([np.linalg.norm(one - exact) / np.linalg.norm(exact) for one in found]))

    errors = [error(200), error(1000), error(5000)]
    assert errors[0] <= 0.06
    assert errors[1] <= 0.02
    assert errors[2] < errors[1] < errors[0]


def test_it_adds_up_whatever_the_budget_and_tells_its_error() -> None:
    trained = written(interacting, BACKGROUND)
    exact = values_of(explain(trained, numbers(ROWS), explainer="exact"))
    for evaluations in (40, 400):
        found = explain(trained, numbers(ROWS), explainer="permutation", evaluations=evaluations)
        assert found.parameters == {"explainer": "permutation", "background_rows": 50, "evaluations": evaluations}
        assert found.evaluations["forward"] <= len(ROWS) * evaluations * 50
        for item, values, expected in zip(found.items, values_of(found), exact, strict=True):
            additivity = item.targets[0].additivity
            assert additivity is not None
            assert additivity["residual"] <= 1e-9
            assert np.abs(values - expected).max() <= 5 * additivity["standard_error"]


def test_the_standard_error_is_that_of_other_seeds() -> None:
    trained = written(interacting, BACKGROUND)
    row = numbers(ROWS[:1])
    found = [explain(trained, row, explainer="permutation", evaluations=400, seed=seed) for seed in range(60)]
    spread = float(np.array([values_of(one)[0] for one in found]).std(axis=0).max())
    told = [one.items[0].targets[0].additivity for one in found]
    mean = float(np.mean([one["standard_error"] for one in told if one is not None]))
    assert 0.7 < mean / spread < 1.5


def test_a_budget_below_one_order_and_its_reverse_is_refused() -> None:
    background = RANDOM.normal(size=(3, 40))
    trained = written(lambda x: x.sum(axis=1), background)
    with pytest.raises(Invalid) as caught:
        explain(trained, trained.background, evaluations=79)
    assert caught.value.errors[0].loc == ("parameters", "evaluations")
    found = explain(trained, trained.background.take([0]), evaluations=80)
    assert found.items[0].targets[0].additivity is not None
    assert "standard_error" not in found.items[0].targets[0].additivity


def test_many_columns_get_at_least_two_pairs_of_orders() -> None:
    trained = written(lambda x: x.sum(axis=1), RANDOM.normal(size=(2, 600)))
    found = explain(trained, trained.background.take([1]))
    assert found.parameters["evaluations"] == 2 * (2 + 2 * 599)
    assert found.items[0].targets[0].additivity is not None
    assert found.items[0].targets[0].additivity["standard_error"] <= 1e-6


def test_a_small_budget_leads_from_exact_to_sampling_and_says_so() -> None:
    trained = written(interacting, BACKGROUND)
    found = explain(trained, numbers(ROWS[:1]), evaluations=1023)
    assert (found.explainer, found.fallback) == (
        "permutation",
        "All coalitions of 10 columns would take 1024 evaluations.",
    )
    assert explain(trained, numbers(ROWS[:1]), evaluations=1024).explainer == "exact"
