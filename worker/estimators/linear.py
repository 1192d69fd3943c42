"""Logistic and ridge regression, fitted to convergence by scikit-learn."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from service.errors import TargetInvalid
from service.specs.estimators import LinearSpec
from worker.estimators.predictors import Floats, Linear

MOST_STEPS = 10_000
_ABSENT = 30.0  # logits below the lowest intercept: a share of 1e-13


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear model.

    Attributes:
        converged: whether the gradient vanished, or the 10,000 steps were used up.
    """

    predictor: Linear
    converged: bool


def fit_classifier(
    encoded: Floats, targets: NDArray[np.int64], spec: LinearSpec, *, classes: int, weights: Floats | None = None
) -> LinearFit:
    """Minimises Σ wᵢ · cross entropyᵢ + l2 · ‖coef‖², in nats; intercepts are not penalised (L-BFGS).

    Of more than two classes it is the multinomial model. The order of the rows does not matter beyond rounding. A
    class that train lacks gets no coefficients and an intercept 30 below the lowest.

    Args:
        encoded: [n, d] dense and standardised.
        targets: [n] class indices.
        spec: of which `l2` counts.
        classes: how many, those that train lacks included.
        weights: [n] of the samples, for example to balance classes; None is 1.

    Raises:
        TargetInvalid: train holds one class alone.
    """
    present = np.unique(targets)
    if len(present) < 2:
        raise TargetInvalid("The train split holds a single class.")
    inverse = 1.0 / (2.0 * spec.l2) if spec.l2 else np.inf  # scikit-learn: C · Σ loss + ½ ‖coef‖²
    model = LogisticRegression(C=inverse, solver="lbfgs", tol=1e-8, max_iter=MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(encoded, targets, sample_weight=weights)
    coef, intercept = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if len(present) == 2:
        coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.concatenate([[0.0], intercept])
    all_coef = np.zeros((classes, encoded.shape[1]))
    all_intercepts = np.full(classes, intercept.min() - _ABSENT)
    all_coef[present], all_intercepts[present] = coef, intercept
    return LinearFit(Linear(all_coef, all_intercepts), converged=int(np.max(model.n_iter_)) < MOST_STEPS)


def fit_regressor(encoded: Floats, targets: Floats, spec: LinearSpec, *, weights: Floats | None = None) -> LinearFit:
    """Minimises Σ wᵢ · (target - output)² + l2 · ‖coef‖² in closed form; the intercept is not penalised.

    Without a penalty it is the least-squares solution of smallest norm.

    Args:
        encoded: [n, d] dense and standardised.
        targets: [n] in their own units.
        spec: of which `l2` counts.
        weights: [n] of the samples; None is 1.
    """
    model = Ridge(alpha=spec.l2, solver="cholesky" if spec.l2 else "svd")
    model.fit(encoded, targets, sample_weight=weights)
    coef = np.asarray(model.coef_, dtype=np.float64).reshape(1, -1)
    return LinearFit(Linear(coef, np.array([float(model.intercept_)])), converged=True)
