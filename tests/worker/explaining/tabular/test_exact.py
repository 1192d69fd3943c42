from itertools import permutations

import numpy as np
import pytest

from service.errors import ExplanationUnsupported
from tests.worker.explaining.tabular.models import Floats, explain, fitted, mixed, numbers, values_of, written
from tests.worker.explaining.tabular.references import import_shap
from worker.explaining.tabular.exact import shapley_values

RANDOM = np.random.default_rng(5)
BACKGROUND = RANDOM.normal(size=(40, 5)).astype(np.float32).astype(float)
ROWS = RANDOM.normal(size=(3, 5)).astype(np.float32).astype(float)


def test_a_planted_interaction_in_closed_form() -> None:
    """f = x0 x1 + 2 x2: x0 gets (x0 x1 - m01 + x0 m1 - m0 x1) / 2 where m are means, x2 twice its distance from m2."""
    trained = written(lambda x: x[:, 0] * x[:, 1] + 2 * x[:, 2], BACKGROUND)
    found = explain(trained, numbers(ROWS))
    assert found.explainer == "exact"
    mean, both = BACKGROUND.mean(axis=0), (BACKGROUND[:, 0] * BACKGROUND[:, 1]).mean()
    product, first, second = ROWS[:, 0] * ROWS[:, 1], ROWS[:, 0] * mean[1], mean[0] * ROWS[:, 1]
    expected = np.stack(
        [
            (product - second + first - both) / 2,
            (product - first + second - both) / 2,
            2 * (ROWS[:, 2] - mean[2]),
            np.zeros(3),
            np.zeros(3),
        ],
        axis=1,
    )
    assert values_of(found) == pytest.approx(expected, abs=1e-7)
    target = found.items[0].targets[0]
    assert target.base_value == pytest.approx(both + 2 * mean[2], abs=1e-7)
    assert (target.label, target.space) == (None, "value")


def test_the_mean_over_all_orders() -> None:
    """Shapley's own definition: what a player adds, over every order of arrival."""
    answers = RANDOM.normal(size=(16, 2))
    expected = np.zeros((4, 2))
    orders = list(permutations(range(4)))
    for order in orders:
        present = 0
        for player in order:
            expected[player] += answers[present | 1 << player] - answers[present]
            present |= 1 << player
    assert shapley_values(answers) == pytest.approx(expected / len(orders), abs=1e-12)


def test_agrees_with_shap_on_a_network() -> None:
    """shap's masker takes 100 rows on its own: it is given all of them."""
    table = numbers(BACKGROUND)
    trained = fitted("mlp", table, np.arange(40) % 3, classes=3)

    def probabilities(rows: Floats) -> Floats:
        return trained.probabilities(trained.outputs(trained.encode(numbers(rows))))

    shap = import_shap()
    masker = shap.maskers.Independent(BACKGROUND, max_samples=len(BACKGROUND))
    reference = shap.ExactExplainer(probabilities, masker)(ROWS)
    found = explain(trained, numbers(ROWS), targets=["no", "yes", "maybe"])
    for place in range(3):
        assert values_of(found, place) == pytest.approx(reference.values[:, :, place], abs=1e-6)
    assert found.baseline is not None
    assert found.baseline["rows"] == 40


def test_what_is_not_used_gets_nothing_and_equals_share_equally() -> None:
    trained = written(lambda x: np.tanh(x[:, 0] + x[:, 1]) * x[:, 2], np.repeat(BACKGROUND[:, :1], 5, axis=1))
    row = np.array([[1.5, 1.5, -2.0, 9.0, 9.0], [0.3, -0.7, 1.0, 4.0, 4.0], [-0.7, 0.3, 1.0, 4.0, 4.0]])
    values = values_of(explain(trained, numbers(row)))
    assert np.abs(values[:, 3:]).max() == 0
    assert values[0, 0] == pytest.approx(values[0, 1], abs=1e-12)
    both = explain(written(lambda x: x[:, 0] + x[:, 1], np.zeros((2, 2))), numbers(np.ones((1, 2))))
    assert values_of(both).tolist() == [[1.0, 1.0]]
    assert not both.items[0].targets[0].degenerate
    assert values[1, :2] == pytest.approx(values[2, 1::-1], abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_shares_of_all_classes_cancel_in_probabilities(classes: int) -> None:
    trained, table = mixed("mlp", classes)
    found = explain(trained, table.take(np.arange(4)), targets=trained.classes)
    assert found.items[0].targets[0].space == "probability"
    total = sum(values_of(found, place) for place in range(classes))
    assert np.abs(total).max() <= 1e-12


def test_a_category_is_one_player_and_a_text_is_none() -> None:
    trained, table = mixed("mlp", 2)
    values = values_of(explain(trained, table.take(np.arange(6))))
    assert values.shape == (6, 5)
    assert np.all(values[:, 3] == 0)
    assert np.abs(values[:, [0, 1, 2, 4]]).max(axis=0).min() > 1e-4


def test_fewer_background_rows_are_told_of_by_another_digest() -> None:
    trained = written(lambda x: x[:, 0] ** 2, BACKGROUND)
    few, all_rows = (explain(trained, numbers(ROWS), background_rows=rows) for rows in (10, 100))
    assert few.baseline is not None
    assert all_rows.baseline is not None
    assert (few.baseline["rows"], all_rows.baseline["rows"]) == (10, 40)
    assert few.baseline["sha256"] != all_rows.baseline["sha256"]
    chosen = BACKGROUND[np.linspace(0, 39, 10).round().astype(int)]
    assert values_of(few)[:, 0] == pytest.approx(ROWS[:, 0] ** 2 - (chosen[:, 0] ** 2).mean(), abs=1e-6)


def test_thirteen_columns_are_too_many() -> None:
    trained = written(lambda x: x.sum(axis=1), np.random.default_rng(0).normal(size=(5, 13)))
    with pytest.raises(ExplanationUnsupported, match="13"):
        explain(trained, trained.background, explainer="exact")
    assert explain(trained, trained.background.take([0])).explainer == "permutation"
