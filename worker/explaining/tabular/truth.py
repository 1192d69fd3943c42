"""The targets that permutation importance is measured on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, Invalid
from worker.estimators.trained_table import TrainedTable

Truth = Sequence[str | None] | NDArray[Any]
"""What the targets of rows really are: labels, or values; None or NaN where not known."""

LEAST_ROWS = 2


def known_truth(trained: TrainedTable, truth: Truth | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The rows whose target is known to the model, and their targets as class indices or values.

    Raises:
        Invalid: there are no targets, fewer than two, or values that are all the same.
    """
    if truth is None:
        raise _invalid("no-targets", "permutation needs rows with their targets: name a dataset.")
    if trained.problem == "tabular_regression":
        values = np.asarray(truth, dtype=np.float64)
        rows = np.flatnonzero(np.isfinite(values))
        if len(np.unique(values[rows])) < LEAST_ROWS:
            raise _invalid("constant-target", "permutation needs rows whose targets differ.")
        return rows, values[rows]
    places = {label: index for index, label in enumerate(trained.classes)}
    indices = np.array([places.get(label, -1) if label is not None else -1 for label in truth], dtype=np.int64)
    rows = np.flatnonzero(indices >= 0)
    if len(rows) < LEAST_ROWS:
        raise _invalid("too-few-rows", "permutation needs at least two rows of this model's classes.")
    return rows, indices[rows]


def _invalid(code: str, message: str) -> Invalid:
    return Invalid("Permutation importance cannot be measured here.", errors=[Fault(("dataset_id",), code, message)])
