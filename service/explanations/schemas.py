"""Bodies of explanations."""

from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from service.problems import ProblemDocument
from service.specs.base import JsonObject
from service.specs.datasets import Warning
from service.store.tables import ExplanationRow
from service.times import Timestamp


class InputRead(BaseModel):
    """Which input an item is about."""

    name: str
    sha256: str
    truncated: bool


class PredictionOfItem(BaseModel):
    """What the model answers for the input."""

    label: str
    probability: float
    probabilities: dict[str, float]


class Additivity(BaseModel):
    """base_value + Σ attributions against what the serving model answers."""

    residual: float
    tolerance: float
    passed: bool


class ImageAttributions(BaseModel):
    """Row-major values over the input as displayed, un-rescaled."""

    height: int
    width: int
    values: list[list[float]]


class TargetRead(BaseModel):
    """Why the model answers what it answers for one label; `space` says what is summed."""

    label: str
    space: str
    base_value: float | None
    output_value: float
    additivity: Additivity | None
    fit: JsonObject | None
    attributions: ImageAttributions
    layer: str | None
    degenerate: bool
    heatmap_url: str
    overlay_url: str


class Quality(BaseModel):
    """How far the explanation can be trusted; sources in `worker.explaining.quality`."""

    deletion_auc: float
    insertion_auc: float
    random_control: float
    stability: float
    randomisation: float
    reliable: bool


class ExplanationItem(BaseModel):
    """One input explained."""

    index: int
    input: InputRead
    prediction: PredictionOfItem
    targets: list[TargetRead]
    quality: Quality | None


class ExplanationTiming(BaseModel):
    """Seconds from acceptance to start, and of computing."""

    queue_seconds: float | None
    compute_seconds: float | None


class ExplanationRead(BaseModel):
    """A model's answers explained, in the order of the inputs."""

    id: str
    state: str
    model_id: str
    model_digest: str | None
    method: str
    explainer: str | None
    fallback: str | None
    parameters: JsonObject
    seed: int
    baseline: JsonObject | None
    evaluations: dict[str, int] | None
    warnings: list[Warning]
    items: list[ExplanationItem]
    problem: ProblemDocument | None
    timing: ExplanationTiming
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: ExplanationRow) -> "ExplanationRead":
        """The row as shown."""
        result: dict[str, Any] = row.result or {}
        waited = None if row.started_at is None else round(max(0.0, row.started_at - row.created_at), 4)
        shown = ("model_digest", "explainer", "fallback", "baseline", "evaluations")
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in ("id", "state", "model_id", "problem")},
                **{name: result.get(name) for name in shown},
                "method": row.spec["method"],
                "parameters": result.get("parameters", row.spec["parameters"]),
                "seed": row.spec["seed"],
                "warnings": result.get("warnings", []),
                "items": [_with_urls(row.id, item) for item in result.get("items", [])],
                "timing": {"queue_seconds": waited, "compute_seconds": row.compute_seconds},
                "created_at": row.created_at,
                "finished_at": row.finished_at,
            }
        )


class ExplanationList(BaseModel):
    """A page of explanations."""

    data: list[ExplanationRead]
    next_cursor: str | None


def _with_urls(row_id: str, item: dict[str, Any]) -> dict[str, Any]:
    base = f"/v1/explanations/{row_id}/items/{item['index']}"
    targets = [
        {
            **target,
            "heatmap_url": f"{base}/{quote(target['label'], safe='')}/heatmap.png",
            "overlay_url": f"{base}/{quote(target['label'], safe='')}/overlay.png",
        }
        for target in item["targets"]
    ]
    return {**item, "targets": targets}
