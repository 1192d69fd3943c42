import numpy as np
import pytest

from service.errors import ExplanationUnsupported
from tests.worker.explaining.tabular.models import MLP, explain, fitted, mixed, numbers, values_of

COLUMNS = np.random.default_rng(4).normal(size=(80, 6))
TABLE = numbers(COLUMNS)


@pytest.mark.parametrize(("classes", "space"), [(0, "value"), (2, "log_odds"), (3, "logit")])
def test_complete_within_what_it_tells(classes: int, space: str) -> None:
    targets = COLUMNS[:, 0] if not classes else np.arange(80) % classes
    trained = fitted("mlp", TABLE, targets, classes=classes)
    rows = TABLE.take(np.arange(8))
    found = explain(trained, rows, explainer="gradient", targets=trained.classes or "predicted")
    outputs = trained.outputs(trained.encode(rows)) / trained.temperature
    behind = trained.outputs(trained.encode(trained.background)) / trained.temperature
    assert (found.explainer, found.fallback) == ("gradient", None)
    assert found.parameters["evaluations"] % found.parameters["background_rows"] == 0
    assert found.evaluations["backward"] == 8 * max(classes, 1) * found.parameters["evaluations"]
    for place in range(max(classes, 1)):
        other = 1 - place if classes == 2 else None
        answers, base = outputs[:, place], behind[:, place]
        if other is not None:
            answers, base = answers - outputs[:, other], base - behind[:, other]
        total = values_of(found, place).sum(axis=1)
        for index, item in enumerate(found.items):
            target = item.targets[place]
            assert target.space == space
            assert target.base_value == pytest.approx(base.mean(), abs=1e-6)
            assert target.additivity is not None
            assert target.additivity["residual"] == pytest.approx(
                abs(base.mean() + total[index] - answers[index]), abs=1e-6
            )
            assert target.additivity["passed"]


def test_of_a_linear_network_it_is_the_closed_form() -> None:
    """Without hidden layers: slope x (value - mean of the background), whatever the positions."""
    spec = MLP.model_copy(update={"hidden_sizes": []})
    trained = fitted(spec, TABLE, COLUMNS[:, 0], classes=0)
    rows = TABLE.take([0, 1])
    at = trained.outputs(np.vstack([np.zeros(6), np.eye(6)]))[:, 0]
    moved = trained.encode(rows) - trained.encode(trained.background).mean(axis=0)
    found = explain(trained, rows, explainer="gradient", evaluations=100)
    assert values_of(found) == pytest.approx((at[1:] - at[0]) * moved, abs=1e-5)


def test_close_to_exact_values_of_a_network() -> None:
    """Not the same thing: the gradients follow lines, Shapley values corners. They agree on what matters."""
    trained = fitted("mlp", TABLE, COLUMNS[:, 0], classes=0)
    rows = TABLE.take(np.arange(10))
    exact, gradient = (values_of(explain(trained, rows, explainer=name)) for name in ("exact", "gradient"))
    assert np.corrcoef(exact.ravel(), gradient.ravel())[0, 1] > 0.97


def test_categories_move_between_their_embeddings() -> None:
    trained, table = mixed("mlp", 2)
    found = explain(trained, table.take(np.arange(10)), explainer="gradient", targets=["yes"], evaluations=3000)
    values = values_of(found)
    assert np.all(values[:, 3] == 0)
    assert np.abs(values[:, 2]).max() > 1e-3
    assert all(item.targets[0].additivity is not None and item.targets[0].additivity["passed"] for item in found.items)


def test_it_is_for_networks_only() -> None:
    trained, table = mixed("gradient_boosting", 2)
    with pytest.raises(ExplanationUnsupported, match="mlp"):
        explain(trained, table, explainer="gradient")
