"""Pictures of a trial. Drawn on figures of their own: matplotlib's global state is not touched."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from worker.drawing import as_label

TRAIN_COLOR, VALIDATION_COLOR, BEST_COLOR = "#3b6fb6", "#d9742b", "#6b7280"
CLASS_CURVES = (("Cross entropy", "loss"), ("Accuracy", "accuracy"))
VALUE_CURVES = (("Mean squared error", "loss"), ("Root mean squared error", "rmse"))
"""What the curves of classes, and of values, show: (title, score)."""
_MOST_NUMBERED_CLASSES = 30
LONGEST_NAME = 24


def learning_curves(document: Mapping[str, Any]) -> Figure:
    """Loss and accuracy, or errors of values, by epoch, on train and validation, the best epoch marked.

    Args:
        document: as `curves.json`.
    """
    curve, best_epoch = document["epochs"], document["best_epoch"]
    shown = CLASS_CURVES if curve[0].get("validation_rmse") is None else VALUE_CURVES
    epochs = [record["epoch"] for record in curve]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for place, (title, key) in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place)
        for split, color in (("train", TRAIN_COLOR), ("validation", VALIDATION_COLOR)):
            values = [_value(record, f"{split}_{key}") for record in curve]
            axes.plot(epochs, values, color=color, label=split, marker="o", markersize=3, linewidth=1.6)
        axes.axvline(best_epoch, color=BEST_COLOR, linestyle=":", label=f"best: epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_title(title, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    return figure


def _value(record: Mapping[str, Any], name: str) -> float:
    value: float = math.sqrt(record["train_loss"]) if name == "train_rmse" else record[name]
    return value


def confusion_figure(document: Mapping[str, Any]) -> Figure:
    """Rows are true classes, shaded by their share; counts are written in where they can be read.

    Args:
        document: as `confusion_matrix.json`.
    """
    matrix, classes = np.array(document["matrix"]), document["classes"]
    side = min(14.0, max(4.5, 0.55 * len(classes) + 2.5))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    labels = [as_label(name, LONGEST_NAME) for name in classes]
    axes.set_xticks(ticks, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(ticks, labels, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title("Confusion on the test split", loc="left", fontsize=11)
    if len(classes) <= _MOST_NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.55 else "#1f2937"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(picture, ax=axes, label="share of the true class", fraction=0.046)
    return figure
