"""What an explanation is, once computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Space = Literal["probability", "logit"]
FloatArray = NDArray[np.float64]
ChooseTargets = Callable[[Tensor], Tensor]
"""Probabilities [n, c] to the class indices to explain [n, t]."""


@dataclass(frozen=True)
class TargetExplanation:
    """Why one image was, or was not, taken for one class.

    Attributes:
        space: what `base_value` and `output_value` are measured in and, for `shap`, what the attributions sum to.
        base_value: the answer to an image with everything hidden; null where a method has none.
        output_value: the serving network's own answer to the image.
        additivity: `{"residual", "tolerance", "passed"}` of base + sum = output; null where a method claims none.
        fit: `{"r2", "intercept", "local_prediction"}` of LIME's surrogate; null for the other methods.
        attributions: [h, w] float, row major, in the input's orientation, un-rescaled.
        layer: the module looked at, by its dotted name.
        degenerate: the map is the same everywhere and says nothing.
    """

    label: str
    space: Space
    base_value: float | None
    output_value: float
    additivity: dict[str, Any] | None
    fit: dict[str, float] | None
    attributions: FloatArray
    layer: str | None
    degenerate: bool


@dataclass(frozen=True)
class ItemExplanation:
    """One image: what was predicted, why, and how far the first target's map can be trusted."""

    prediction: dict[str, Any]
    targets: list[TargetExplanation]
    quality: dict[str, Any] | None


@dataclass(frozen=True)
class Explanation:
    """All images of a request, with what it took.

    Attributes:
        parameters: as used, defaults filled in.
        evaluations: `{"forward", "backward"}`: images sent through the network, in all.
        warnings: `{"code", "message"}` each.
    """

    method: str
    explainer: str
    fallback: str | None
    parameters: dict[str, Any]
    baseline: dict[str, Any] | None
    evaluations: dict[str, int]
    warnings: list[dict[str, str]]
    items: list[ItemExplanation]


@dataclass(frozen=True)
class Attribution:
    """One target's map as a method computed it, before it is named and judged."""

    class_index: int
    values: FloatArray
    base_value: float | None = None
    summed_value: float | None = None
    """base + sum of the attributions, for methods that promise it to be the output."""
    fit: dict[str, float] | None = None
    """How well LIME's surrogate fits."""

    @property
    def degenerate(self) -> bool:
        """The map is the same everywhere, or not finite."""
        return not bool(np.isfinite(self.values).all()) or bool(np.ptp(self.values) == 0.0)


@dataclass(frozen=True)
class Attributed:
    """One image as a method sees it: the serving answer and one map per target."""

    logits: FloatArray
    probabilities: FloatArray
    targets: list[Attribution]
