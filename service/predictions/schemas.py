"""Bodies of predictions."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from service.answers import Timing
from service.problems import ProblemDocument
from service.specs.csv_cells import Cell
from service.store.tables import PredictionRow
from service.times import Timestamp


class ClassItem(BaseModel):
    """The answer of a classifier for one input.

    `probabilities` are the softmax of `logits` / the model's temperature (`config.json`). Predictions that were kept
    from before calibration have no `logits`. `truncated`: the model did not read the text to its end.
    """

    index: int
    name: str | None
    truncated: bool = False
    label: str
    probability: float
    probabilities: dict[str, float]
    logits: dict[str, float] | None = None


class ValueItem(BaseModel):
    """The answer of a regression for one input, in the target's units."""

    index: int
    name: str | None
    value: float


class PredictionRead(BaseModel):
    """Answers of a model, in the order of its inputs."""

    id: str
    state: str
    model_id: str
    items: list[ClassItem | ValueItem]
    problem: ProblemDocument | None
    timing: Timing
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: PredictionRow) -> "PredictionRead":
        """The row as shown."""
        special = {"items", "timing"}
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name not in special}
        items = (row.result or {}).get("items", [])
        return cls.model_validate({**fields, "items": items, "timing": Timing.from_row(row)})

    def csv_columns(self) -> list[str]:
        """The header of `csv_rows`."""
        first = self.items[0] if self.items else None
        if isinstance(first, ClassItem):
            each = [f"probability of {name}" for name in first.probabilities]
            return ["index", "name", "label", "probability", *each]
        return ["index", "name", "value"]

    def csv_rows(self) -> Iterator[list[Cell]]:
        """One row for each input."""
        for item in self.items:
            if isinstance(item, ClassItem):
                yield [item.index, item.name, item.label, item.probability, *item.probabilities.values()]
            else:
                yield [item.index, item.name, item.value]


class PredictionList(BaseModel):
    """A page of predictions."""

    data: list[PredictionRead]
    next_cursor: str | None
