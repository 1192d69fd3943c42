"""Bodies of explanations."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel

from service.answers import Timing
from service.explanations.segments import segment_of
from service.problems import ProblemDocument
from service.specs.base import JsonObject
from service.specs.csv_cells import Cell
from service.specs.datasets import Warning
from service.store.tables import ExplanationRow
from service.times import Timestamp

PICTURES = ("heatmap", "overlay")


class InputRead(BaseModel):
    """Which input an item is about; `truncated`: the model did not read the text to its end."""

    name: str
    sha256: str
    truncated: bool


class ClassAnswer(BaseModel):
    """What a classifier answers for the input."""

    label: str
    probability: float
    probabilities: dict[str, float]


class ValueAnswer(BaseModel):
    """What a regression answers for the input."""

    value: float


class Additivity(BaseModel):
    """base_value + Σ attributions against what the serving model answers.

    `standard_error` is the largest of the attributions, where they are sampled.
    """

    residual: float
    tolerance: float
    passed: bool
    standard_error: float | None = None


class ImageAttributions(BaseModel):
    """Row-major values over the input as displayed, un-rescaled."""

    height: int
    width: int
    values: list[list[float]]


class TokenAttribution(BaseModel):
    """One word of a text, with its place in characters."""

    token: str
    start: int
    end: int
    attribution: float


class FeatureAttribution(BaseModel):
    """One column of a row, with the value that it has there."""

    feature: str
    value: float | str | bool | None
    attribution: float


class TargetRead(BaseModel):
    """Why the model answers what it answers for one label (null in a regression); `space` says what is summed."""

    label: str | None
    space: str
    base_value: float | None
    output_value: float
    additivity: Additivity | None
    fit: JsonObject | None
    attributions: ImageAttributions | list[TokenAttribution] | list[FeatureAttribution]
    layer: str | None
    degenerate: bool
    heatmap_url: str | None
    overlay_url: str | None


class Quality(BaseModel):
    """How far the explanation can be trusted; sources in `worker.explaining.quality`.

    Of tables `randomisation` is null, and `stability` where nothing is random.
    """

    deletion_auc: float
    insertion_auc: float
    random_control: float
    stability: float | None
    randomisation: float | None
    reliable: bool


class ExplanationItem(BaseModel):
    """One input explained; `page_url` is a web page of a text in colours."""

    index: int
    input: InputRead
    prediction: ClassAnswer | ValueAnswer
    targets: list[TargetRead]
    quality: Quality | None
    page_url: str | None


class FeatureSummary(BaseModel):
    """What a column contributes over all rows."""

    feature: str
    mean_absolute_attribution: float


class FeatureImportance(BaseModel):
    """What shuffling a column costs: the mean drop of `metric`, and its standard deviation over the repeats.

    Of classes also the rise of the log loss, in nats.
    """

    feature: str
    metric: str
    importance: float
    standard_deviation: float | None
    log_loss_importance: float | None = None
    log_loss_standard_deviation: float | None = None


class ExplanationEntry(BaseModel):
    """An explanation as lists show it: its items are read one explanation at a time."""

    id: str
    state: str
    model_id: str
    method: str
    parameters: JsonObject
    seed: int
    problem: ProblemDocument | None
    timing: Timing
    created_at: Timestamp
    finished_at: Timestamp | None

    @classmethod
    def from_row(cls, row: ExplanationRow) -> Self:
        """The row as shown."""
        return cls.model_validate(cls.fields_of(row))

    @staticmethod
    def fields_of(row: ExplanationRow) -> dict[str, Any]:
        """What is shown of a row everywhere; `parameters` as asked for."""
        own = ("id", "state", "model_id", "problem", "created_at", "finished_at")
        asked = {name: row.spec[name] for name in ("method", "parameters", "seed")}
        return {**{name: getattr(row, name) for name in own}, **asked, "timing": Timing.from_row(row)}


class ExplanationRead(ExplanationEntry):
    """A model's answers explained, in the order of the inputs; rows of a table also together, in `summary`."""

    model_digest: str | None
    explainer: str | None
    fallback: str | None
    baseline: JsonObject | None
    evaluations: dict[str, int] | None
    warnings: list[Warning]
    items: list[ExplanationItem]
    summary: list[FeatureImportance] | list[FeatureSummary] | None
    plots: dict[str, str]

    @classmethod
    def from_row(cls, row: ExplanationRow) -> Self:
        """The row as shown; `parameters` as they were used."""
        result: dict[str, Any] = row.result or {}
        shown = ("model_digest", "explainer", "fallback", "baseline", "evaluations", "summary")
        return cls.model_validate(
            {
                **cls.fields_of(row),
                **{name: result.get(name) for name in shown},
                "parameters": result.get("parameters", row.spec["parameters"]),
                "warnings": result.get("warnings", []),
                "items": [_with_urls(row.id, item) for item in result.get("items", [])],
                "plots": {name: f"/v1/explanations/{row.id}/plots/{name}.png" for name in result.get("plots", [])},
            }
        )

    @property
    def is_of_images(self) -> bool:
        """Whether the attributions are maps."""
        return any(isinstance(target.attributions, ImageAttributions) for item in self.items for target in item.targets)

    def csv_columns(self) -> list[str]:
        """The header of `csv_rows`."""
        if self.summary is not None and not any(item.targets for item in self.items):
            return list(self.summary[0].model_dump()) if self.summary else ["feature"]
        targets = [target for item in self.items for target in item.targets]
        is_text = any(isinstance(one, TokenAttribution) for target in targets for one in _listed(target))
        kind = TokenAttribution if is_text else FeatureAttribution
        return ["index", "name", "label", *kind.model_fields]

    def csv_rows(self) -> Iterator[list[Cell]]:
        """One row for each word or column of each target; of a permutation importance one for each column."""
        if self.summary is not None and not any(item.targets for item in self.items):
            yield from (list(entry.model_dump().values()) for entry in self.summary)
        for item in self.items:
            for target in item.targets:
                for one in _listed(target):
                    yield [item.index, item.input.name, target.label, *one.model_dump().values()]


class ExplanationList(BaseModel):
    """A page of explanations."""

    data: list[ExplanationEntry]
    next_cursor: str | None


def _listed(target: TargetRead) -> list[TokenAttribution] | list[FeatureAttribution]:
    return [] if isinstance(target.attributions, ImageAttributions) else target.attributions


def _with_urls(row_id: str, item: dict[str, Any]) -> dict[str, Any]:
    base = f"/v1/explanations/{row_id}/items/{item['index']}"
    targets = []
    for target in item["targets"]:
        place = f"{base}/{segment_of(str(target['label']))}"
        drawn = target.get("pictures", PICTURES)
        urls = {f"{name}_url": f"{place}/{name}.png" if name in drawn else None for name in PICTURES}
        targets.append({**target, **urls})
    return {**item, "targets": targets, "page_url": f"{base}/page.html" if item.get("has_page") else None}
