"""The rows of the train split that hidden columns take their values from."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from worker.data.table import Table
from worker.estimators.trained_table import TrainedTable
from worker.explaining.tabular.question import Floats
from worker.explaining.tabular.raw_values import raw_values

MOST_ROWS = 100


@dataclass(frozen=True)
class Background:
    """Some of the rows kept with the model, as raw columns and encoded [b, d]."""

    table: Table
    encoded: Floats

    @classmethod
    def of(cls, trained: TrainedTable, rows: int | None = None) -> "Background":
        """At most so many rows, evenly spaced among those kept: the same ones in any request."""
        kept = len(trained.background)
        count = min(rows or MOST_ROWS, kept)
        chosen = trained.background.take(np.linspace(0, kept - 1, count).round().astype(np.int64))
        return cls(chosen, trained.encode(chosen))

    @property
    def rows(self) -> int:
        """B."""
        return len(self.encoded)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the rows as JSON: an array of arrays of raw values, no spaces."""
        columns = [raw_values(self.table, column) for column in self.table.schema]
        text = json.dumps(list(zip(*columns, strict=True)), separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As an explanation reports it."""
        return {"kind": "training_sample", "rows": self.rows, "sha256": self.digest}
