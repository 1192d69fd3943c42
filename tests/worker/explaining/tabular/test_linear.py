import numpy as np
import pytest

from service.errors import ExplanationUnsupported
from tests.worker.explaining.tabular.models import explain, fitted, mixed, numbers, values_of
from worker.estimators.predictors import Linear


def test_coefficient_times_distance_from_the_mean() -> None:
    """Coefficients by finite differences through the serving model, as a client would get them."""
    generator = np.random.default_rng(0)
    columns = generator.normal(size=(500, 10))
    target = 3 * columns[:, 2] - 2 * columns[:, 7]
    table = numbers(columns)
    trained = fitted("linear", table, target, classes=0)
    found = explain(trained, table.take(np.arange(20)))
    at = np.vstack([np.zeros(10), np.eye(10)])
    answers = trained.outputs(trained.encode(numbers(at)))[:, 0]
    expected = (answers[1:] - answers[0]) * (columns[:20] - columns.mean(axis=0))
    assert (found.explainer, found.fallback) == ("linear", None)
    assert values_of(found) == pytest.approx(expected, abs=1e-9)
    assert np.abs(np.delete(values_of(found), [2, 7], axis=1)).max() <= 1e-3 * target.std()
    assert found.items[0].targets[0].base_value == pytest.approx(target.mean(), abs=1e-9)


@pytest.mark.parametrize(("classes", "space"), [(2, "log_odds"), (3, "logit")])
def test_logits_of_what_is_served(classes: int, space: str) -> None:
    """Calibrated, per user's column, categories and datetimes in one piece."""
    trained, table = mixed("linear", classes)
    rows = table.take(np.arange(8))
    found = explain(trained, rows, targets=trained.classes)
    predictor = trained.predictor
    assert isinstance(predictor, Linear)
    moved = trained.encode(rows) - trained.center
    served = np.log(trained.probabilities(trained.outputs(trained.encode(rows))))
    for place in range(classes):
        slope = predictor.coef[place] - (predictor.coef[1 - place] if classes == 2 else 0)
        by_column = [(moved[:, g] * slope[g]).sum(axis=1) / 1.5 for g in trained.encoding.groups]
        assert values_of(found, place) == pytest.approx(np.array(by_column).T, abs=1e-12)
        for index, item in enumerate(found.items):
            target = item.targets[place]
            assert target.space == space
            assert target.additivity is not None
            assert target.additivity["residual"] <= 1e-6
            assert target.additivity["passed"]
            if classes == 2:
                assert target.output_value == pytest.approx(served[index, place] - served[index, 1 - place], abs=1e-9)


def test_it_is_for_linear_models_only() -> None:
    trained, table = mixed("random_forest", 2)
    with pytest.raises(ExplanationUnsupported, match="linear"):
        explain(trained, table, explainer="linear")
    trained, table = mixed("linear", 2)
    with pytest.raises(ExplanationUnsupported, match="trees"):
        explain(trained, table, explainer="tree")
    assert explain(trained, table.take([0]), explainer="exact").explainer == "exact"
