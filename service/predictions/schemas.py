"""Bodies of predictions."""

from collections.abc import Iterator
from typing import Any, Self

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


class PredictionEntry(BaseModel):
    """A prediction as lists show it: its answers are read one prediction at a time."""

    id: str
    state: str
    model_id: str
    problem: ProblemDocument | None
    timing: Timing
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: PredictionRow) -> Self:
        """The row as shown."""
        return cls.model_validate(cls.fields_of(row))

    @staticmethod
    def fields_of(row: PredictionRow) -> dict[str, Any]:
        """What is shown of a row everywhere."""
        fields = {name: getattr(row, name) for name in PredictionEntry.model_fields if name != "timing"}
        return {**fields, "timing": Timing.from_row(row)}


class PredictionRead(PredictionEntry):
    """Answers of a model, in the order of its inputs."""

    items: list[ClassItem | ValueItem]

    @classmethod
    def from_row(cls, row: PredictionRow) -> Self:
        """The row as shown."""
        return cls.model_validate({**cls.fields_of(row), "items": (row.result or {}).get("items", [])})

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

    data: list[PredictionEntry]
    next_cursor: str | None
