"""Models of tables whose answers are known: real estimators on small tables, and functions written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from service.specs.estimators import GradientBoostingSpec, LinearSpec, MlpSpec, RandomForestSpec
from service.specs.tables import ColumnSchema
from tests.worker.estimators.tables import mixed_table
from worker.data.table import Table
from worker.estimators.background import center_of, choose_background
from worker.estimators.boosting import BestRound, BoostingPlan, Samples, fit_boosted
from worker.estimators.encoding import Encoding
from worker.estimators.linear import fit_classifier, fit_regressor
from worker.estimators.network import Network, build_mlp
from worker.estimators.trained_table import TrainedTable
from worker.explaining.results import Explanation
from worker.explaining.tabular.explainer import explain_rows

Floats = NDArray[np.float64]
LABELS = ["no", "yes", "maybe"]
MLP = MlpSpec(kind="mlp", hidden_sizes=[16], batch_norm=False)
SPECS: dict[str, Any] = {
    "mlp": MLP,
    "linear": LinearSpec(kind="linear"),
    "gradient_boosting": GradientBoostingSpec(kind="gradient_boosting", max_depth=3),
    "dart": GradientBoostingSpec(kind="gradient_boosting", max_depth=3, booster="dart", rate_drop=0.3),
    "random_forest": RandomForestSpec(kind="random_forest", trees=10, max_depth=4),
}


@dataclass(frozen=True)
class Given:
    """Parameters as a request gives them."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def model_dump(self) -> dict[str, Any]:
        return dict(self.values)


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    method: str = "shap"
    targets: Any = "predicted"
    parameters: Given = field(default_factory=Given)
    evaluate: bool = False
    seed: int = 0


def explain(trained: TrainedTable, table: Table, method: str = "shap", **asked: Any) -> Explanation:
    """By `method`; what is no field of a request is a parameter."""
    fields = {name: asked.pop(name) for name in ("targets", "evaluate", "seed") if name in asked}
    truth = asked.pop("truth", None)
    spec = Asked(method=method, parameters=Given(asked), **fields)
    return explain_rows(trained, table, spec, progress=quiet, targets=truth)


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def values_of(explanation: Explanation, target: int = 0) -> Floats:
    """[n, p]."""
    rows = [item.targets[target].attributions for item in explanation.items]
    return np.array([[one["attribution"] for one in row] for row in rows])


def numbers(columns: Floats, names: list[str] | None = None) -> Table:
    """[n, p] as a table of numeric columns."""
    found = names or [f"x{place}" for place in range(columns.shape[1])]
    schema = tuple(ColumnSchema(name=name, kind="numeric") for name in found)
    return Table(schema, {name: columns[:, place].astype(float) for place, name in enumerate(found)})


def fitted(kind: Any, table: Table, targets: NDArray[Any], *, classes: int, rounds: int = 8) -> TrainedTable:
    """A real estimator, by its spec or its name in `SPECS`; an `mlp` has random weights.

    `targets` are class indices, or values if `classes` is 0.
    """
    spec = SPECS[kind] if isinstance(kind, str) else kind
    encoding = Encoding.fit(table, standardise=spec.kind in ("mlp", "linear"), one_hot=spec.kind == "linear")
    samples = Samples(encoding.encode(table), targets)
    return TrainedTable(
        problem="tabular_classification" if classes else "tabular_regression",
        spec=spec,
        schema=table.schema,
        classes=LABELS[:classes],
        encoding=encoding,
        predictor=_predictor(spec, encoding, samples, classes=classes, rounds=rounds),
        background=choose_background(table, targets, seed=0),
        center=center_of(samples.encoded),
        temperature=1.5 if classes else 1.0,
    )


def _predictor(spec: Any, encoding: Encoding, samples: Samples, *, classes: int, rounds: int) -> Any:
    if spec.kind == "mlp":
        with torch.random.fork_rng():
            torch.manual_seed(3)
            network = build_mlp(encoding, spec, classes or 1).eval().requires_grad_(False)
            for weights in network.parameters():
                weights.mul_(2)
            for embedding in network.embeddings:
                embedding.weight.normal_()  # type: ignore[union-attr, operator]
        return Network(network, torch.device("cpu"), *((0.0, 1.0) if classes else (3.5, 2.0)))
    if spec.kind == "linear" and classes:
        return fit_classifier(samples.encoded, samples.targets, spec, classes=classes).predictor
    if spec.kind == "linear":
        return fit_regressor(samples.encoded, samples.targets, spec).predictor
    best = BestRound(spec)
    plan = BoostingPlan(spec, classes, 1 if spec.kind == "random_forest" else rounds, 0.3, seed=0)
    booster = fit_boosted(plan, samples, validation=samples, on_round=lambda record: best.see(record) or True)
    return best.model(booster, classes=classes)


def mixed(name: str, classes: int) -> tuple[TrainedTable, Table]:
    """An estimator of a table with every kind of column and gaps."""
    table, score = mixed_table()
    ranks = score.argsort().argsort()
    targets = ranks * classes // len(score) if classes else score
    return fitted(name, table, targets, classes=classes), table


@dataclass(frozen=True)
class Written:
    """A predictor that is a function of the raw numbers."""

    function: Callable[[Floats], Floats]

    def outputs(self, encoded: Floats) -> Floats:
        return self.function(encoded)


def written(function: Callable[[Floats], Floats], background: Floats, *, classes: int = 0) -> TrainedTable:
    """A model of numeric columns that answers `function` [n, p] → [n] values or [n, c] logits; called an `mlp`."""
    table = numbers(background)

    def outputs(rows: Floats) -> Floats:
        return function(rows).reshape(len(rows), -1).astype(np.float64)

    return TrainedTable(
        problem="tabular_classification" if classes else "tabular_regression",
        spec=MLP,
        schema=table.schema,
        classes=LABELS[:classes],
        encoding=Encoding.fit(table, standardise=False, one_hot=False),
        predictor=Written(outputs),
        background=table,
        center=background.mean(axis=0),
    )
