"""Rows with their targets and their split; and the model that comes of them.

Shapes: n rows, k columns of the user, d encoded columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.specs.estimators import Estimator
from service.specs.jobs import JobSpec
from service.specs.tables import TableManifest
from worker.data.deals import Deal
from worker.data.table import Table
from worker.estimators.background import center_of, choose_background
from worker.estimators.encoding import Encoding
from worker.estimators.predictors import Floats, Predictor
from worker.estimators.trained_table import TrainedTable


@dataclass(frozen=True)
class TableData:
    """A dataset of rows.

    Attributes:
        table: all rows of the dataset.
        manifest: of the dataset.
        classes: sorted; empty in a regression.
        targets: [n] int64 class indices, or float64 values.
    """

    table: Table
    manifest: TableManifest
    classes: list[str]
    targets: NDArray[Any]
    dealt: Deal

    @property
    def train(self) -> Table:
        """The train split."""
        return self.table.take(self.dealt["train"])

    def targets_of(self, split: str) -> Tensor:
        """[n] of a split."""
        chosen: Tensor = torch.from_numpy(self.targets[self.dealt[split]])  # type: ignore[index]
        return chosen

    def trained(self, spec: JobSpec, encoding: Encoding, encoded_train: Floats, predictor: Predictor) -> TrainedTable:
        """The model, with what explanations of it compare with."""
        return TrainedTable(
            problem="tabular_classification" if self.classes else "tabular_regression",
            spec=estimator_of(spec),
            schema=self.table.schema,
            classes=self.classes,
            encoding=encoding,
            predictor=predictor,
            background=choose_background(self.train, self.targets[self.dealt["train"]], seed=spec.seed),
            center=center_of(encoded_train),
            target=self.manifest.target,
            ignored=tuple(self.manifest.ignored),
        )


def estimator_of(spec: JobSpec) -> Estimator:
    """The estimator of a spec about tables, once it is resolved."""
    assert spec.estimator is not None, "images and texts have a backbone"
    return spec.estimator


def class_indices(labels: Sequence[str | None], classes: Sequence[str]) -> NDArray[np.int64]:
    """[n] positions in `classes`, all of which must be there."""
    positions = {name: index for index, name in enumerate(classes)}
    return np.array([positions[str(label)] for label in labels], dtype=np.int64)


def rows_of(dealt: Deal) -> dict[str, list[Any]]:
    """Row numbers by split, from 0."""
    return {name: [*indices] for name, indices in dealt.items()}


def columns_in_words(table: Table, encoding: Encoding) -> str:
    """For the card."""
    return f"{len(table.schema)} columns, {encoding.width} once encoded"
