"""What an explanation is, once computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Space = Literal["probability", "logit", "log_odds", "value"]
FloatArray = NDArray[np.float64]
ChooseTargets = Callable[[Tensor], Tensor]
"""Probabilities [n, c] to the class indices to explain [n, t]."""


@dataclass(frozen=True)
class TargetExplanation:
    """Why one input was, or was not, taken for one class, or got its value.

    Attributes:
        label: null in a regression.
        space: what `base_value` and `output_value` are measured in and, for `shap`, what the attributions sum to.
        base_value: the answer to an input with everything hidden; null where a method has none.
        output_value: the serving model's own answer to the input.
        additivity: `{"residual", "tolerance", "passed"}` of base + sum = output; null where a method claims none.
            With `standard_error`, the largest of the attributions, where they are sampled.
        fit: `{"r2", "intercept", "local_prediction"}` of LIME's surrogate; null for the other methods.
        attributions: of an image [h, w] float, row major, in the input's orientation, un-rescaled; of a text a list
            of `{"token", "start", "end", "attribution"}`, one for each word, with offsets in characters; of a row
            a list of `{"feature", "value", "attribution"}`, one for each of the user's columns, in their order.
        layer: the module looked at, by its dotted name.
        degenerate: the attributions are the same everywhere and say nothing.
    """

    label: str | None
    space: Space
    base_value: float | None
    output_value: float
    additivity: dict[str, Any] | None
    fit: dict[str, float] | None
    attributions: Any
    layer: str | None
    degenerate: bool


@dataclass(frozen=True)
class ItemExplanation:
    """One input: what was predicted, why, and how far the first target's attributions can be trusted.

    Attributes:
        truncated: the input is a text that the network did not read to its end.
    """

    prediction: dict[str, Any]
    targets: list[TargetExplanation]
    quality: dict[str, Any] | None
    truncated: bool = False


@dataclass(frozen=True)
class Explanation:
    """All inputs of a request, with what it took.

    Attributes:
        parameters: as used, defaults filled in.
        evaluations: `{"forward", "backward"}`: inputs sent through the model, in all.
        warnings: `{"code", "message"}` each.
        summary: of all inputs together, for a method that explains no single one.
    """

    method: str
    explainer: str
    fallback: str | None
    parameters: dict[str, Any]
    baseline: dict[str, Any] | None
    evaluations: dict[str, int]
    warnings: list[dict[str, str]]
    items: list[ItemExplanation]
    summary: list[dict[str, Any]] | None = None


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
        """The map is the same everywhere, or not finite; a single value says nothing either if it is 0."""
        spread = np.ptp(self.values) if self.values.size > 1 else np.abs(self.values).max(initial=0.0)
        return not bool(np.isfinite(self.values).all()) or bool(spread == 0.0)


@dataclass(frozen=True)
class Attributed:
    """One image as a method sees it: the serving answer and one map per target."""

    logits: FloatArray
    probabilities: FloatArray
    targets: list[Attribution]


def additivity(summed_value: float | None, output: float, tolerance: float) -> dict[str, Any] | None:
    """How far base + sum is from what serving answers; null for methods that do not promise it."""
    if summed_value is None:
        return None
    residual = abs(summed_value - output)
    return {"residual": residual, "tolerance": tolerance, "passed": residual <= tolerance}


def warnings_of(items: Sequence[ItemExplanation]) -> list[dict[str, str]]:
    """`{"code", "message"}` for whatever should not be trusted."""
    warnings: list[dict[str, str]] = []
    for index, item in enumerate(items):
        for target in item.targets:
            what = f"item {index}" if target.label is None else f"item {index} for {target.label!r}"
            if target.degenerate:
                message = f"The map of {what} is the same everywhere: it shows nothing."
                warnings.append({"code": "degenerate-map", "message": message})
            if target.additivity is not None and not target.additivity["passed"]:
                message = f"The attributions of {what} do not add up to the output."
                warnings.append({"code": "not-additive", "message": message})
        if item.quality is not None and not item.quality["reliable"]:
            message = f"The map of item {index} failed its quality checks: see `quality`."
            warnings.append({"code": "unreliable", "message": message})
    return warnings
