"""Bodies of predictions."""

from typing import Any

from pydantic import BaseModel

from service.problems import ProblemDocument
from service.store.tables import PredictionRow
from service.times import Timestamp


class Timing(BaseModel):
    """Seconds from acceptance to start, and of computing."""

    queue_seconds: float | None
    compute_seconds: float | None

    @classmethod
    def from_row(cls, row: Any) -> "Timing":
        """Of a prediction or an explanation."""
        waited = None if row.started_at is None else round(max(0.0, row.started_at - row.created_at), 4)
        return cls(queue_seconds=waited, compute_seconds=row.compute_seconds)


class PredictionItem(BaseModel):
    """The answer for one input.

    `probabilities` are the softmax of `logits` / the model's temperature (`config.json`). Predictions that were kept
    from before calibration have no `logits`.
    """

    index: int
    name: str | None
    label: str
    probability: float
    probabilities: dict[str, float]
    logits: dict[str, float] | None = None


class PredictionRead(BaseModel):
    """Answers of a model, in the order of its inputs."""

    id: str
    state: str
    model_id: str
    items: list[PredictionItem]
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


class PredictionList(BaseModel):
    """A page of predictions."""

    data: list[PredictionRead]
    next_cursor: str | None
