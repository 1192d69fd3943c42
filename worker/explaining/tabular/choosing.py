"""Which explainer stands behind `shap`: the one that fits the model, or the one asked for."""

from collections.abc import Callable
from typing import Any, Protocol

from service.errors import ExplanationUnsupported
from service.specs.estimators import GradientBoostingSpec
from service.specs.explanations import ExplainerName
from service.specs.row_explainers import Fitted, unfit_reason, usual_explainer
from worker.estimators.trained_table import TrainedTable
from worker.explaining.meter import Meter
from worker.explaining.results import Space
from worker.explaining.tabular.background import Background
from worker.explaining.tabular.exact import Exact
from worker.explaining.tabular.gradients import ExpectedGradients
from worker.explaining.tabular.linear import LinearShap
from worker.explaining.tabular.parameters import RowParameters
from worker.explaining.tabular.permutations import Permutations
from worker.explaining.tabular.question import Question, RowAttribution
from worker.explaining.tabular.trees import TreeShap


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
    """The explainer asked for, else the usual one; and why it is another than the usual, as `usual_explainer`.

    Raises:
        ExplanationUnsupported: the one asked for cannot explain this model.
    """
    is_dart = isinstance(trained.spec, GradientBoostingSpec) and trained.spec.booster == "dart"
    fitted = Fitted(trained.estimator, is_dart, seen_columns(trained))
    if asked.explainer is None:
        name, fallback = usual_explainer(fitted, asked.evaluations)
        return _make(trained, asked, seed, name=name), fallback
    reason = unfit_reason(asked.explainer, fitted)
    if reason is not None:
        raise ExplanationUnsupported(reason)
    return _make(trained, asked, seed, name=asked.explainer), None


def seen_columns(trained: TrainedTable) -> int:
    """The user's columns that the model gets to see: all but texts."""
    return sum(group.stop > group.start for group in trained.encoding.groups)


def _make(trained: TrainedTable, asked: RowParameters, seed: int, *, name: ExplainerName) -> RowExplainer:
    def background() -> Background:
        return Background.of(trained, asked.background_rows)

    makers: dict[ExplainerName, Callable[[], RowExplainer]] = {
        "tree": TreeShap,
        "linear": LinearShap,
        "exact": lambda: Exact(background()),
        "permutation": lambda: Permutations(background(), asked.evaluations, seed),
        "gradient": lambda: ExpectedGradients(background(), asked.evaluations, seed),
    }
    return makers[name]()
