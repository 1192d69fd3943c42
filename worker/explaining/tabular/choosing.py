"""Which explainer stands behind `shap`: the one that fits the model, or the one asked for."""

from collections.abc import Callable
from typing import Any, Protocol

from service.errors import ExplanationUnsupported
from service.specs.estimators import GradientBoostingSpec
from worker.estimators.trained_table import TrainedTable
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.exact import MOST_COLUMNS, Exact
from worker.explaining.tabular.gradients import ExpectedGradients
from worker.explaining.tabular.linear import LinearShap
from worker.explaining.tabular.parameters import RowParameters
from worker.explaining.tabular.permutations import Permutations
from worker.explaining.tabular.question import Question, RowAttribution
from worker.explaining.tabular.trees import TreeShap

DART = "TreeSHAP is not used for DART, whose trees are rescaled while boosting"


class RowExplainer(Protocol):
    """A way to attribute answers to columns, with its parameters, for one request.

    Attributes:
        sampled: whether another seed gives other numbers.
    """

    name: str
    sampled: bool

    @property
    def parameters(self) -> dict[str, Any]:
        """As used, defaults filled in."""
        ...

    @property
    def baseline(self) -> dict[str, Any] | None:
        """What hidden columns showed."""
        ...

    def space(self, question: Question) -> Space:
        """What is taken apart."""
        ...

    def cost(self, columns: int, targets: int) -> int:
        """Evaluations for one row, at most."""
        ...

    def reseeded(self, seed: int) -> "RowExplainer":
        """The same with other random draws."""
        ...

    def attribute(self, question: Question, meter: Meter) -> list[list[RowAttribution]]:
        """Each row's targets."""
        ...


def choose_shap(trained: TrainedTable, asked: RowParameters, seed: int) -> tuple[RowExplainer, str | None]:
    """The explainer, and why it is another than the usual one for this kind of estimator.

    The usual: `linear` for linear models, `tree` for trees; for an `mlp` `exact` up to 12 columns, else `permutation`.

    Raises:
        ExplanationUnsupported: the one asked for cannot explain this model.
    """
    if asked.explainer is not None:
        _refuse_unfit(trained, asked.explainer)
        return _make(trained, asked, seed, name=asked.explainer), None
    name, fallback = _usual(trained, asked.evaluations)
    return _make(trained, asked, seed, name=name), fallback


def seen_columns(trained: TrainedTable) -> int:
    """The user's columns that the model gets to see: all but texts."""
    return sum(group.stop > group.start for group in trained.encoding.groups)


def _usual(trained: TrainedTable, evaluations: int | None) -> tuple[str, str | None]:
    if trained.estimator == "linear":
        return "linear", None
    dart = _is_dart(trained)
    if trained.estimator != "mlp" and not dart:
        return "tree", None
    columns = seen_columns(trained)
    if columns > MOST_COLUMNS:
        return "permutation", f"{DART}." if dart else None
    if evaluations is not None and evaluations < 2**columns:
        reason = f"all coalitions of {columns} columns would take {2**columns} evaluations"
        return "permutation", f"{DART}; {reason}." if dart else f"{reason[0].upper()}{reason[1:]}."
    return "exact", f"{DART}." if dart else None


def _refuse_unfit(trained: TrainedTable, name: str) -> None:
    columns = seen_columns(trained)
    boosted = trained.estimator in ("gradient_boosting", "random_forest")
    reasons = {
        "tree": None if boosted else "TreeSHAP explains trees; this model has none.",
        "linear": None if trained.estimator == "linear" else "The closed form holds for linear models only.",
        "exact": None
        if columns <= MOST_COLUMNS
        else f"Exact values need at most {MOST_COLUMNS} columns; this model has {columns}. Try permutation.",
        "gradient": None if trained.estimator == "mlp" else "Gradients need an mlp; try permutation.",
        "permutation": None,
        "partition": "The partition explainer is for images and texts; try permutation.",
    }
    reason = f"{DART}; try permutation." if name == "tree" and _is_dart(trained) else reasons[name]
    if reason is not None:
        raise ExplanationUnsupported(reason)


def _is_dart(trained: TrainedTable) -> bool:
    return isinstance(trained.spec, GradientBoostingSpec) and trained.spec.booster == "dart"


def _make(trained: TrainedTable, asked: RowParameters, seed: int, *, name: str) -> RowExplainer:
    def background() -> Background:
        return Background.of(trained, asked.background_rows)

    makers: dict[str, Callable[[], RowExplainer]] = {
        "tree": TreeShap,
        "linear": LinearShap,
        "exact": lambda: Exact(background()),
        "permutation": lambda: Permutations(background(), asked.evaluations, seed),
        "gradient": lambda: ExpectedGradients(background(), asked.evaluations, seed),
    }
    return makers[name]()
