"""Pictures of attributions over many rows. Drawn on figures of their own: matplotlib's global state is not touched."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from service.specs.tables import ColumnSchema
from worker.explaining.rendering import AGAINST, FOR
from worker.explaining.results import Explanation
from worker.explaining.tabular.plotted import plotted
from worker.explaining.tabular.question import Floats
from worker.explaining.tabular.summaries import summarise

MOST_FEATURES = 20
LONGEST_NAME = 32
BAR_COLOR, REST_COLOR, LINE_COLOR, GREY = "#3b6fb6", "#9ca3af", "#111827", "#9ca3af"
MOST_SPREAD = 0.42
"""Half of what a column's dots may take of the height of its line."""
_BINS = 90
_METRICS = {"accuracy": "mean drop of accuracy", "r2": "mean drop of R²"}


def bar_png(explanation: Explanation) -> bytes:
    """The importance of each column, the largest first: mean absolute attributions, or those of `permutation`.

    At most 20 bars; the others are summed in a last one. Lines show the standard deviation of a permutation
    importance over its repeats.
    """
    bars, axis_label = _bars(explanation)
    shown, rest = bars[:MOST_FEATURES], bars[MOST_FEATURES:]
    figure, axes = _figure(len(shown) + bool(rest))
    values = [bar.value for bar in shown] + ([sum(bar.value for bar in rest)] if rest else [])
    places = np.arange(len(values))
    colors = [BAR_COLOR] * len(shown) + [REST_COLOR] * bool(rest)
    axes.barh(places, values, color=colors, height=0.68)
    for place, bar in enumerate(shown):
        if bar.spread is not None:
            axes.errorbar(bar.value, place, xerr=bar.spread, color=LINE_COLOR, capsize=2.5, linewidth=1)
    _label(axes, [bar.name for bar in shown], len(rest))
    axes.axvline(0, color=LINE_COLOR, linewidth=0.8)
    axes.set_xlabel(axis_label)
    axes.margins(x=0.12)
    for place, value in enumerate(values):
        spread = (shown[place].spread or 0.0) if place < len(shown) else 0.0
        end = max(0.0, value + spread)
        axes.annotate(
            f"{value:.3g}", (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=LINE_COLOR
        )
    return _png(figure)


def beeswarm_png(explanation: Explanation, schema: Sequence[ColumnSchema], *, label: str | None = None) -> bytes:
    """One dot for each row and column, by its attribution, coloured by the column's value.

    At most 20 columns, by their mean absolute attribution; the others are summed in a last line. Categories and texts
    are grey, as their order means nothing.

    Args:
        explanation: by `shap` or `lime`.
        schema: the kinds of the columns.
        label: the class to be shown; by default the second of two classes, else each row's predicted class.
    """
    found = plotted(explanation, schema, label)
    sizes = np.abs(found.attributions).sum(axis=0)
    order = np.argsort(-sizes, kind="stable")
    shown, rest = order[:MOST_FEATURES].tolist(), order[MOST_FEATURES:].tolist()
    figure, axes = _figure(len(shown) + bool(rest))
    for place, column in enumerate(shown):
        _swarm(axes, place, found.attributions[:, column], found.numbers[:, column], found.coloured[column])
    if rest:
        summed = found.attributions[:, rest].sum(axis=1)
        _swarm(axes, len(shown), summed, np.full(len(summed), np.nan), coloured=False)
    _label(axes, [found.names[column] for column in shown], len(rest))
    axes.axvline(0, color=LINE_COLOR, linewidth=0.8, zorder=0)
    axes.set_xlabel(f"{found.axis_label}\ngrey: no order, or several columns; hollow: missing", parse_math=False)
    _colour_bar(figure, axes)
    return _png(figure)


@dataclass(frozen=True)
class _Bar:
    name: str
    value: float
    spread: float | None = None


def _bars(explanation: Explanation) -> tuple[list[_Bar], str]:
    if explanation.method == "permutation":
        entries = explanation.summary or []
        bars = [_Bar(one["feature"], one["importance"], one["standard_deviation"]) for one in entries]
        return bars, _METRICS[entries[0]["metric"]] if entries else ""
    means = [_Bar(str(one["feature"]), float(one["mean_absolute_attribution"])) for one in summarise(explanation)]
    spaces = {target.space for item in explanation.items for target in item.targets}
    named = f" ({next(iter(spaces)).replace('_', '-')})" if len(spaces) == 1 else ""
    return means, f"mean absolute attribution{named}"


def _swarm(axes: Axes, place: int, attributions: Floats, numbers: Floats, coloured: bool) -> None:
    heights = place + swarm(attributions)
    known = ~np.isnan(numbers)
    axes.axhline(place, color="#e5e7eb", linewidth=0.8, zorder=-1)
    if not coloured:
        axes.scatter(attributions, heights, s=11, color=GREY, linewidths=0)
        return
    axes.scatter(attributions[~known], heights[~known], s=11, facecolors="white", edgecolors=GREY, linewidths=0.7)
    low, high = np.percentile(numbers[known], [5, 95]) if known.any() else (0.0, 1.0)
    if low == high and known.any():
        low, high = float(numbers[known].min()), float(numbers[known].max())
    shares = np.clip((numbers[known] - low) / (high - low), 0, 1) if high > low else np.full(known.sum(), 0.5)
    axes.scatter(attributions[known], heights[known], s=11, c=_values_map()(shares), linewidths=0)


def swarm(attributions: Floats) -> Floats:
    """[n] offsets within ±`MOST_SPREAD`: dots of like attribution lie side by side around 0, in the order given."""
    offsets: Floats = np.zeros(len(attributions))
    spread = np.ptp(attributions) if len(attributions) else 0.0
    if spread == 0:
        bins = np.zeros(len(attributions), dtype=np.int64)
    else:
        bins = np.floor((attributions - attributions.min()) / spread * _BINS).astype(np.int64)
    counts = np.bincount(bins) if len(bins) else np.zeros(1, dtype=np.int64)
    step = min(0.09, 2 * MOST_SPREAD / max(1, int(counts.max())))
    for one in np.unique(bins):
        members = np.flatnonzero(bins == one)
        ranks = np.arange(len(members))
        offsets[members] = np.where(ranks % 2, 1, -1) * ((ranks + 1) // 2) * step
    return offsets


def _values_map() -> LinearSegmentedColormap:
    ends = [tuple(level / 255 for level in color) for color in (AGAINST, FOR)]
    return LinearSegmentedColormap.from_list("values", [ends[0], (0.55, 0.25, 0.75), ends[1]])


def _colour_bar(figure: Figure, axes: Axes) -> None:
    bar = figure.colorbar(ScalarMappable(cmap=_values_map()), ax=axes, aspect=40, pad=0.02, fraction=0.03)
    bar.set_ticks([0.0, 1.0], labels=["low", "high"])
    bar.set_label("value of the column", fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9)


def _figure(lines: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.2, 1.3 + 0.34 * max(3, lines)), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _label(axes: Axes, names: Sequence[str], others: int) -> None:
    named = [_short(name) for name in names] + ([f"{others} other columns, summed"] if others else [])
    axes.set_yticks(np.arange(len(named)), named, fontsize=9, parse_math=False)
    axes.set_ylim(max(len(named), 1) - 0.4, -0.6)


def _short(name: str) -> str:
    flat = " ".join(name.split())
    return flat if len(flat) <= LONGEST_NAME else f"{flat[: LONGEST_NAME - 1]}…"


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144)
    return file.getvalue()
