"""Pictures of predicted values beside the actual ones."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

POINT_COLOR, LINE_COLOR = "#3b6fb6", "#111827"


def agreement_figure(document: Mapping[str, Any]) -> Figure:
    """Predicted over actual values of the test split; on the line they are the same.

    Args:
        document: as `predicted_against_actual.json`.
    """
    actual, predicted = document["actual"], document["predicted"]
    ends = [min([*actual, *predicted]), max([*actual, *predicted])]
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(ends, ends, color=LINE_COLOR, linestyle="--", linewidth=1.2, label="predicted = actual")
    axes.scatter(actual, predicted, s=14, color=POINT_COLOR, alpha=0.6, linewidths=0)
    axes.set(xlabel="actual", ylabel="predicted")
    axes.set_title("Predictions on the test split", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    _clean(axes)
    return figure


def residual_figure(document: Mapping[str, Any]) -> Figure:
    """Residuals (actual - predicted) of the test split: over the predicted values, and how they spread.

    Args:
        document: as `residuals.json`.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    points, spread = figure.subplots(1, 2)
    points.axhline(0.0, color=LINE_COLOR, linestyle="--", linewidth=1.2)
    points.scatter(document["predicted"], document["residuals"], s=14, color=POINT_COLOR, alpha=0.6, linewidths=0)
    points.set(xlabel="predicted", ylabel="actual - predicted")
    points.set_title("Residuals on the test split", loc="left", fontsize=11)
    bins = document["bins"]
    lows, widths = [one["low"] for one in bins], [one["high"] - one["low"] for one in bins]
    counts = [one["samples"] for one in bins]
    spread.bar(lows, counts, widths, align="edge", color=POINT_COLOR, edgecolor="white", linewidth=0.6)
    spread.axvline(0.0, color=LINE_COLOR, linestyle="--", linewidth=1.2)
    spread.set(xlabel="actual - predicted", ylabel="samples")
    for axes in (points, spread):
        _clean(axes)
    return figure


def _clean(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
