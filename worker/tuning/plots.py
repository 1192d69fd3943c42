"""The pictures of a search, drawn from their documents on figures of their own: matplotlib's state is not touched."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from service.specs.tuning import Choice
from worker.drawing import as_label

Document = Mapping[str, Any]
POINT_COLOR, BEST_COLOR, PRUNED_COLOR, LINE_COLOR = "#3b6fb6", "#d9742b", "#9ca3af", "#111827"
LOG_RATIO = 20.0
"""Values that differ by more are drawn on a log scale, so that one bad trial does not flatten the others."""
LONGEST_NAME = 32
_TICKS, _WIDEST = 5, 24.0
_SHADES = colormaps["Blues"]


def history_figure(document: Document) -> Figure:
    """What each trial came to by number, the best so far, and where pruned ones were when they ended.

    Args:
        document: as `tuning_history.json`.
    """
    metric = document["metric"].replace("_", " ")
    done = [trial for trial in document["trials"] if trial["value"] is not None]
    pruned = [trial for trial in document["trials"] if trial["last_value"] is not None]
    so_far = [trial for trial in document["trials"] if trial["best_value"] is not None]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.step(*_xy(so_far, "best_value"), where="post", color=BEST_COLOR, linewidth=1.6, label="best so far")
    axes.scatter(*_xy(done, "value"), s=26, color=POINT_COLOR, zorder=3, label="finished")
    if pruned:
        axes.scatter(*_xy(pruned, "last_value"), s=26, marker="x", color=PRUNED_COLOR, label="pruned, last epoch")
    if _is_wide([trial["value"] for trial in done] + [trial["last_value"] for trial in pruned]):
        axes.set_yscale("log")
    axes.set(xlabel="trial", ylabel=metric)
    axes.set_title(f"{metric.capitalize()} by trial", loc="left", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def importances_figure(document: Document) -> Figure:
    """How much of the metric's variance each field explains, the most important on top.

    Args:
        document: as `parameter_importances.json`.
    """
    found: list[tuple[str, float]] = sorted(document["importances"].items(), key=lambda one: one[1])
    figure = Figure(figsize=(8, 1.3 + 0.42 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(
        [as_label(path, LONGEST_NAME) for path, _ in found],
        [value for _, value in found],
        color=POINT_COLOR,
        height=0.6,
    )
    axes.bar_label(bars, [f"{value:.2f}" if value >= 0.01 else "< 0.01" for _, value in found], padding=4, fontsize=9)
    axes.set(xlim=(0, 1.08), xlabel="importance: the share of the metric's variance that the field explains")
    axes.set_title(f"What moved {document['metric'].replace('_', ' ')}", loc="left", fontsize=11)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def coordinates_figure(document: Document) -> Figure:
    """A line for each finished trial across the searched fields to its value, light to dark; the best on top.

    Args:
        document: as `parallel_coordinate.json`.
    """
    sign = 1.0 if document["direction"] == "minimize" else -1.0
    lines = sorted(document["trials"], key=lambda line: (sign * line["value"], line["number"]), reverse=True)
    points = [[*(line["params"][axis["path"]] for axis in document["axes"]), line["value"]] for line in lines]
    wide = _is_wide([line["value"] for line in lines])
    described = [*document["axes"], {"path": document["metric"].replace("_", " "), "log": wide, "choices": None}]
    scales = [
        _Scale(values, log=axis["log"], choices=axis["choices"])
        for axis, values in zip(described, zip(*points, strict=True), strict=True)
    ]
    figure = Figure(figsize=(min(_WIDEST, 1.6 + 2.1 * len(scales)), 4.6), layout="constrained")
    axes = figure.add_subplot()
    for rank, values in enumerate(points):
        heights = [scale.height(value) for scale, value in zip(scales, values, strict=True)]
        if rank == len(points) - 1:
            axes.plot(heights, color=BEST_COLOR, linewidth=2.4)
        else:
            axes.plot(heights, color=_SHADES(0.25 + 0.65 * rank / len(points)), linewidth=1.1, alpha=0.8)
    for place, scale in enumerate(scales):
        _draw_scale(axes, place, scale)
    names = [as_label(axis["path"], LONGEST_NAME) for axis in described]
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 8 else 0)
    axes.set(xlim=(-0.25, len(scales) - 0.7), ylim=(-0.03, 1.03), yticks=[])
    axes.tick_params(axis="x", length=0, pad=8)
    axes.spines[:].set_visible(False)
    best = f"the better the darker; orange: trial {lines[-1]['number']}, the best"
    axes.set_title(f"Finished trials across the space, {best}", loc="left", fontsize=11)
    return figure


class _Scale:
    """One vertical axis: numbers on a linear or log scale, choices evenly spaced."""

    def __init__(self, values: Sequence[Any], *, log: bool, choices: Sequence[Choice] | None) -> None:
        self.log, self.choices = log, choices
        self.low: float = min(values) if choices is None else 0.0
        self.high: float = max(values) if choices is None else 0.0

    def height(self, value: Any) -> float:
        """0 at the bottom to 1 at the top; the middle where there is one value only."""
        if self.choices is not None:
            return self.choices.index(value) / (len(self.choices) - 1) if len(self.choices) > 1 else 0.5
        low, high, at = (math.log(one) if self.log else one for one in (self.low, self.high, value))
        return float((at - low) / (high - low)) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Heights and what to write there."""
        if self.choices is not None:
            return [(self.height(choice), str(choice)) for choice in self.choices]
        locator = LogLocator(subs=(1.0, 2.0, 5.0), numticks=_TICKS) if self.log else MaxNLocator(_TICKS)
        inner = [at for at in locator.tick_values(self.low, self.high) if self.low < at < self.high]
        ends = [(self.height(self.low), f"{self.low:.3g}"), (self.height(self.high), f"{self.high:.3g}")]
        apart = [at for at in inner if all(abs(self.height(at) - end) > 0.06 for end, _ in ends)]
        return [*dict.fromkeys(ends), *((self.height(at), f"{at:.3g}") for at in apart)]


def _draw_scale(axes: Axes, place: int, scale: _Scale) -> None:
    axes.axvline(place, color=LINE_COLOR, linewidth=1.0)
    for height, label in scale.ticks():
        axes.plot([place, place + 0.02], [height, height], color=LINE_COLOR, linewidth=1.0)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
        axes.text(place + 0.04, height, as_label(label, LONGEST_NAME), va="center", fontsize=8, bbox=box)


def _xy(trials: Sequence[Document], key: str) -> tuple[list[int], list[float]]:
    return [trial["number"] for trial in trials], [trial[key] for trial in trials]


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) > LOG_RATIO * min(values)
