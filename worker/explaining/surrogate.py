"""The local surrogate of LIME, whatever was perturbed (Ribeiro et al. 2016, section 3.4)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Surrogate:
    """A weighted ridge regression of a model's answers on what was present.

    Attributes:
        weights: [m], one per interpretable component.
        r2: weighted coefficient of determination on the perturbations; 1 where the answers do not vary.
        local_prediction: of the surrogate, at the input itself.
    """

    weights: Floats
    intercept: float
    r2: float
    local_prediction: float

    def to_fit(self) -> dict[str, float]:
        """As an explanation's `fit` shows it."""
        return {"r2": self.r2, "intercept": self.intercept, "local_prediction": self.local_prediction}


LEAST_SPREAD = 1e-6
"""Weighted variance of the answers, as a share of their variance, below which the kernel sees nothing but the input
itself: all weights are 0."""
FIRST_RIDGE = 0.01
"""Of the fit that only ranks components, as in LIME's `highest_weights`."""


def fit_surrogate(
    components: Floats, answers: Floats, proximity: Floats, *, ridge: float = 1.0, features: int | None = None
) -> Surrogate:
    """Fits the surrogate.

    Args:
        components: [n, m] the perturbations in interpretable terms; row 0 is the input itself.
        answers: [n] of the model for one target.
        proximity: [n] >= 0, the weight of each perturbation; row 0's is positive.
        ridge: weight of the squared coefficients, as scikit-learn's `alpha`.
        features: keeps so many components, those that add most to a first fit's answer at the input; the others'
            weight is 0. All when null.
    """
    if features is not None and features < components.shape[1]:
        first = Ridge(alpha=FIRST_RIDGE).fit(components, answers, sample_weight=proximity)
        kept = np.sort(np.argsort(-np.abs(first.coef_ * components[0]), kind="stable")[:features])
        part = fit_surrogate(components[:, kept], answers, proximity, ridge=ridge)
        weights = np.zeros(components.shape[1])
        weights[kept] = part.weights
        return replace(part, weights=weights)
    mean = float(np.average(answers, weights=proximity))
    spread = float(np.average((answers - mean) ** 2, weights=proximity))
    if spread <= LEAST_SPREAD * float(np.var(answers)):
        return Surrogate(np.zeros(components.shape[1]), mean, 1.0, mean)
    model = Ridge(alpha=ridge).fit(components, answers, sample_weight=proximity)
    r2 = float(model.score(components, answers, sample_weight=proximity))
    local = float(model.predict(components[:1])[0])
    return Surrogate(np.asarray(model.coef_, dtype=np.float64), float(model.intercept_), r2, local)


def exponential_proximity(distances: Floats, width: float) -> Floats:
    """[n]: sqrt(exp(-d² / width²)), LIME's kernel."""
    result: Floats = np.sqrt(np.exp(-(distances**2) / width**2))
    return result
