"""The reliability diagram: how often answers are right, by how sure they are (Guo et al. 2017, figures 1 and 4)."""

from collections.abc import Mapping
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

ACCURACY_COLOR, LINE_COLOR, COUNT_COLOR = "#3b6fb6", "#111827", "#6b7280"
OVER, UNDER = ("#d9742b", "#f8e0cf"), ("#2f855a", "#cfe8da")
"""Edge and face of the gap where answers are right less often, and more often, than they say."""


def calibration_figure(document: Mapping[str, Any]) -> Figure:
    """Before and after temperature scaling side by side; one diagram where the temperature is 1.

    Args:
        document: as `calibration.json`.
    """
    parts = [("Before scaling", document["before"])]
    if document["temperature"] == 1.0:
        parts = [("Not scaled", document["after"])]
    else:
        parts.append((f"Temperature {document['temperature']:.2f}", document["after"]))
    figure = Figure(figsize=(4.7 * len(parts), 5.2), layout="constrained")
    grid = figure.add_gridspec(2, len(parts), height_ratios=(4, 1))
    for place, (title, part) in enumerate(parts):
        diagram, histogram = figure.add_subplot(grid[0, place]), figure.add_subplot(grid[1, place])
        _draw_reliability(diagram, part["bins"])
        diagram.set_title(
            f"{title}: calibration error {part['expected_calibration_error']:.3f}", loc="left", fontsize=11
        )
        _draw_histogram(histogram, part["bins"])
        if place == 0:
            diagram.set_ylabel("accuracy")
            diagram.legend(handles=_legend(), frameon=False, fontsize=9, loc="upper left")
            histogram.set_ylabel("samples")
    return figure


def _draw_reliability(axes: Axes, bins: list[dict[str, Any]]) -> None:
    """Bars of accuracy, each with its gap to the mean confidence of its bin."""
    width = bins[0]["high"] - bins[0]["low"]
    for one in (one for one in bins if one["samples"]):
        middle, accuracy, confidence = (one["low"] + one["high"]) / 2, one["accuracy"], one["confidence"]
        edge, face = OVER if confidence > accuracy else UNDER
        gap, bottom = abs(confidence - accuracy), min(confidence, accuracy)
        axes.bar(middle, accuracy, width, color=ACCURACY_COLOR, edgecolor="white", linewidth=0.8)
        axes.bar(middle, gap, width * 0.92, bottom=bottom, color=face, edgecolor=edge, hatch="///", linewidth=1.0)
    axes.plot([0, 1], [0, 1], color=LINE_COLOR, linestyle="--", linewidth=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticklabels=[])
    _clean(axes)


def _legend() -> list[Artist]:
    gaps = {"too sure by": OVER, "not sure enough by": UNDER}
    return [
        Line2D([], [], color=LINE_COLOR, linestyle="--", linewidth=1.2, label="calibrated"),
        Patch(color=ACCURACY_COLOR, label="accuracy"),
        *(Patch(facecolor=face, edgecolor=edge, hatch="///", label=label) for label, (edge, face) in gaps.items()),
    ]


def _draw_histogram(axes: Axes, bins: list[dict[str, Any]]) -> None:
    lows = [one["low"] for one in bins]
    axes.bar(
        lows, [one["samples"] for one in bins], bins[0]["high"], align="edge", color=COUNT_COLOR, edgecolor="white"
    )
    axes.set(xlim=(0, 1), xlabel="confidence: probability of the answer, on test")
    _clean(axes)


def _clean(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
