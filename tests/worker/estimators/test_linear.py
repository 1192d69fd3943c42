import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from service.errors import TargetInvalid
from service.specs.estimators import LinearSpec
from worker.estimators.linear import fit_classifier, fit_regressor
from worker.estimators.losses import calibrated

SPEC = LinearSpec(kind="linear")


def scaled(rows: np.ndarray) -> np.ndarray:
    return StandardScaler().fit_transform(rows)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["binary", "multinomial"])
def test_probabilities_are_scikit_learns(load: object) -> None:
    rows, targets = load(return_X_y=True)  # type: ignore[operator]
    rows = scaled(rows)
    fitted = fit_classifier(rows, targets, SPEC, classes=len(set(targets)))
    reference = LogisticRegression(C=0.5, tol=1e-8, max_iter=10_000).fit(rows, targets)
    assert fitted.converged
    np.testing.assert_allclose(
        calibrated(fitted.predictor.outputs(rows), 1.0), reference.predict_proba(rows), atol=1e-12
    )
    if len(set(targets)) == 2:
        outputs = fitted.predictor.outputs(rows)
        np.testing.assert_allclose(outputs[:, 1] - outputs[:, 0], reference.decision_function(rows), atol=1e-12)


def test_the_objective_is_the_one_that_the_spec_tells() -> None:
    """Its gradient vanishes: of Σ w · cross entropy + l2 · ‖coef‖²."""
    rows, targets = load_wine(return_X_y=True)
    rows, weights = scaled(rows), np.linspace(0.5, 2.0, len(targets))
    linear = fit_classifier(rows, targets, LinearSpec(kind="linear", l2=3.0), classes=3, weights=weights).predictor
    error = calibrated(linear.outputs(rows), 1.0) - np.eye(3)[targets]
    gradient = (weights[:, None] * error).T @ rows + 2 * 3.0 * linear.coef
    assert np.abs(gradient).max() < 1e-3
    assert np.abs(error.T @ weights).max() < 1e-3
    assert np.abs(linear.coef).max() > 0.1


@pytest.mark.parametrize("l2", [0.0, 0.1, 10.0])
def test_a_regression_is_the_closed_form(l2: float) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    rows, weights = scaled(rows), np.linspace(0.5, 2.0, len(targets))
    linear = fit_regressor(rows, targets, LinearSpec(kind="linear", l2=l2), weights=weights).predictor
    extended = np.hstack([rows, np.ones((len(rows), 1))])
    penalty = l2 * np.diag([*np.ones(rows.shape[1]), 0.0])
    solution = np.linalg.solve(extended.T @ (weights[:, None] * extended) + penalty, extended.T @ (weights * targets))
    np.testing.assert_allclose([*linear.coef[0], *linear.intercept], solution, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(linear.outputs(rows)[:, 0], extended @ solution, atol=1e-8)


def test_the_order_of_the_samples_does_not_matter() -> None:
    rows, targets = load_wine(return_X_y=True)
    rows, order = scaled(rows), np.random.default_rng(0).permutation(len(targets))
    first = fit_classifier(rows, targets, SPEC, classes=3).predictor
    second = fit_classifier(rows[order], targets[order], SPEC, classes=3).predictor
    np.testing.assert_allclose(first.coef, second.coef, atol=1e-5)
    values = load_diabetes(return_X_y=True)[1][: len(rows)]
    np.testing.assert_allclose(
        fit_regressor(rows, values, SPEC).predictor.coef,
        fit_regressor(rows[order], values[order], SPEC).predictor.coef,
        atol=1e-9,
    )


def test_a_weight_of_two_is_a_sample_twice() -> None:
    rows, targets = load_wine(return_X_y=True)
    rows, weights = scaled(rows), 1.0 + (targets == 2)
    twice = np.repeat(np.arange(len(rows)), weights.astype(int))
    weighted = fit_classifier(rows, targets, SPEC, classes=3, weights=weights).predictor
    repeated = fit_classifier(rows[twice], targets[twice], SPEC, classes=3).predictor
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-5)


def test_a_class_that_train_lacks_is_never_the_answer() -> None:
    rows, targets = load_wine(return_X_y=True)
    rows, kept = scaled(rows), targets != 1
    linear = fit_classifier(rows[kept], targets[kept], SPEC, classes=3).predictor
    shares = calibrated(linear.outputs(rows[kept]), 1.0)
    assert shares[:, 1].max() < 1e-9
    assert (shares.argmax(1) == targets[kept]).mean() > 0.98


def test_one_class_alone_cannot_be_learned() -> None:
    with pytest.raises(TargetInvalid, match="single class"):
        fit_classifier(np.ones((3, 1)), np.zeros(3, dtype=np.int64), SPEC, classes=2)
