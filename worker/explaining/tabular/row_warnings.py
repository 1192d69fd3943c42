"""What a reader of attributions of rows should know beyond what holds for all, as `{"code", "message"}`."""

from collections.abc import Sequence

import numpy as np

from worker.explaining.results import ItemExplanation
from worker.explaining.tabular.question import RowAttribution

MOST_ERROR = 0.05
"""Of the largest attribution."""


def row_warnings(items: Sequence[ItemExplanation], found: Sequence[Sequence[RowAttribution]]) -> list[dict[str, str]]:
    """One for each target whose attributions rest on too little."""
    warnings: list[dict[str, str]] = []
    for index, (item, attributions) in enumerate(zip(items, found, strict=True)):
        for target, one in zip(item.targets, attributions, strict=True):
            what = f"item {index}" if target.label is None else f"item {index} for {target.label!r}"
            largest = float(np.abs(one.values).max(initial=0.0))
            if one.standard_error is not None and one.standard_error > MOST_ERROR * largest:
                message = f"The standard error of {what} is more than 5 % of its largest attribution."
                warnings.append({"code": "sampling-error", "message": message})
            if one.neighbours is not None and one.neighbours < len(one.values) + 1:
                message = f"The surrogate of {what} has fewer perturbations near the row than columns."
                warnings.append({"code": "few-neighbours", "message": message})
    return warnings
