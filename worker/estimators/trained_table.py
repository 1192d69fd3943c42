"""A trained model of tables: everything between a row as the user gives it and the answer."""

from dataclasses import dataclass, field
from typing import Literal

from service.specs.estimators import Estimator
from service.specs.tables import ColumnSchema
from worker.data.table import Table
from worker.estimators.encoding import Encoding
from worker.estimators.losses import calibrated
from worker.estimators.predictors import Floats, Predictor

TableProblem = Literal["tabular_classification", "tabular_regression"]


@dataclass
class TrainedTable:
    """An encoding, what answers, and what explanations compare with.

    Attributes:
        spec: of the estimator.
        schema: the columns of features, in the order of the file.
        classes: in the order of the outputs; empty in a regression.
        background: at most 100 rows of the train split, as the user's columns.
        center: [d] mean of the encoded train split.
        temperature: of the probabilities.
        target, ignored: columns of its dataset that are no features; rows that are asked about may have them.
    """

    problem: TableProblem
    spec: Estimator
    schema: tuple[ColumnSchema, ...]
    classes: list[str]
    encoding: Encoding
    predictor: Predictor = field(repr=False)
    background: Table = field(repr=False)
    center: Floats = field(repr=False)
    temperature: float = 1.0
    target: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def estimator(self) -> str:
        """The kind: `mlp`, `linear`, `gradient_boosting` or `random_forest`."""
        return self.spec.kind

    def encode(self, table: Table) -> Floats:
        """[n, d] float64; `encoding.groups` says which of the d come from which of the user's columns."""
        return self.encoding.encode(table)

    def outputs(self, encoded: Floats) -> Floats:
        """[n, d] → [n, c] logits before calibration, or [n, 1] values in the target's units.

        Of two classes the difference of the columns is the log-odds of the second.
        """
        return self.predictor.outputs(encoded)

    def probabilities(self, outputs: Floats) -> Floats:
        """[n, c] logits → [n, c], calibrated. Whatever shows or explains a probability takes it from here."""
        assert self.classes, "a regression has values, not probabilities"
        return calibrated(outputs, self.temperature)
