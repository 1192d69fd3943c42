"""Rows like one row, for LIME: each column drawn anew by what the train split shows of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.specs.tables import NUMBER_KINDS, ColumnSchema
from worker.data.table import Table, Values
from worker.explaining.tabular.question import Floats


@dataclass(frozen=True)
class Perturbed:
    """Rows [n] of which the first is the row itself, and what they are in interpretable terms.

    Attributes:
        components: [n, p]: of measures, standard deviations from the mean; else 1 where the value is the row's, 0
            where it is another.
    """

    table: Table
    components: Floats


def perturbed(table: Table, index: int, background: Table, *, samples: int, seed: int) -> Perturbed:
    """Draws `samples` rows around the train split's statistics, the first being row `index` of `table`.

    Numbers and datetimes are normal with the background's mean and spread, as in LIME's tabular variant (Ribeiro et
    al. 2016). Categories, booleans, texts and missing values are the row's own in half of the rows, else drawn by
    their frequency in the background: a value that is rare there is tried as often as any.
    """
    generator = np.random.default_rng(seed)
    values: dict[str, Values] = {}
    components = np.empty((samples, len(table.schema)))
    for place, column in enumerate(table.schema):
        own, known = table.values[column.name][index], background.values[column.name]
        normal = generator.standard_normal(samples)
        drawn = generator.integers(len(known), size=samples)
        keep = generator.random(samples) < 0.5
        center, spread = _statistics(column, known)
        if spread > 0 and not np.isnan(own):
            normal[0] = (own - center) / spread
            values[column.name] = center + spread * normal
            values[column.name][0] = own
            components[:, place] = normal
        else:
            keep[0] = True
            found = np.where(keep, np.full(samples, own, dtype=known.dtype), known[drawn])
            values[column.name] = found
            components[:, place] = _same(found, own)
    return Perturbed(Table(table.schema, values), components)


def _statistics(column: ColumnSchema, known: Values) -> tuple[float, float]:
    """Mean and standard deviation of a measure; a spread of 0 for whatever is compared rather than measured."""
    if column.kind not in NUMBER_KINDS or column.kind == "boolean":
        return 0.0, 0.0
    present = known[~np.isnan(known)]
    return (float(present.mean()), float(present.std())) if len(present) else (0.0, 0.0)


def _same(found: Values, own: Any) -> NDArray[np.float64]:
    if isinstance(own, float) and np.isnan(own):
        return np.isnan(found).astype(np.float64)
    return np.array([value == own for value in found.tolist()], dtype=np.float64)
