"""Explanations with their pictures, by whatever model is asked."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from PIL import Image

from service.specs.explanations import ExplanationSpec
from worker.backbones.trained import TrainedNetwork
from worker.backbones.trained_text import TrainedText
from worker.estimators.trained_table import TrainedTable
from worker.explaining.explainer import explain_images
from worker.explaining.rendering import heatmap_png, overlay_png
from worker.explaining.results import Explanation, TargetExplanation
from worker.explaining.tabular.explainer import explain_rows
from worker.explaining.tabular.plots import bar_png, beeswarm_png
from worker.explaining.tabular.summaries import summarise
from worker.explaining.text.explainer import explain_texts
from worker.explaining.text.picture import text_png
from worker.explaining.text.rendering import text_html
from worker.runtime.asked_inputs import Inputs, read_asked_texts, read_images, read_rows
from worker.runtime.servings import Answer, Question

Progress = Callable[[int, int], None]
Drawings = Mapping[str, Callable[[], bytes]]


def compute_explanation(question: Question, progress: Progress) -> Answer:
    """Attributions with what is drawn of them.

    Pictures of a target are `items/<index>/<target>/<picture>.png`, a text's page is `items/<index>/page.html`,
    pictures of all rows are `plots/<plot>.png`.
    """
    model, digest = question.models.get(question.row.model_id)
    spec = ExplanationSpec.model_validate(question.row.spec)
    if isinstance(model, TrainedNetwork):
        found, drawings = _of_images(question, model, spec, progress)
    elif isinstance(model, TrainedText):
        found, drawings = _of_texts(question, model, spec, progress)
    else:
        found, drawings = _of_rows(question, model, spec, progress)
    drawn = question.drawers.map(lambda draw: draw(), drawings.values())
    return Answer({**found, "model_digest": digest}, dict(zip(drawings, drawn, strict=True)))


def _of_images(
    question: Question, model: TrainedNetwork, spec: ExplanationSpec, progress: Progress
) -> tuple[dict[str, Any], Drawings]:
    images = read_images(question.sources)
    explanation = explain_images(model, images, spec, progress=progress)
    drawings: dict[str, Callable[[], bytes]] = {}
    for index, (image, item) in enumerate(zip(images, explanation.items, strict=True)):
        for position, target in enumerate(item.targets):
            drawings |= _drawings_of_image(f"items/{index}/{position}", image, target)
    return _to_json(explanation, question.sources.inputs, pictures=("heatmap", "overlay")), drawings


def _drawings_of_image(place: str, image: Image.Image, target: TargetExplanation) -> Drawings:
    values = target.attributions
    return {
        f"{place}/heatmap.png": partial(heatmap_png, values, size=image.size),
        f"{place}/overlay.png": partial(overlay_png, image, values),
    }


def _of_texts(
    question: Question, model: TrainedText, spec: ExplanationSpec, progress: Progress
) -> tuple[dict[str, Any], Drawings]:
    texts, inputs = read_asked_texts(question.sources)
    explanation = explain_texts(model, texts, spec, progress=progress)
    drawings: dict[str, Callable[[], bytes]] = {}
    for index, (text, item) in enumerate(zip(texts, explanation.items, strict=True)):
        drawings[f"items/{index}/page.html"] = lambda text=text, item=item: text_html(text, item).encode()  # type: ignore[misc]
        for position, target in enumerate(item.targets):
            drawings[f"items/{index}/{position}/overlay.png"] = partial(text_png, text, target)
    return _to_json(explanation, inputs, pictures=("overlay",), has_pages=True), drawings


def _of_rows(
    question: Question, model: TrainedTable, spec: ExplanationSpec, progress: Progress
) -> tuple[dict[str, Any], Drawings]:
    rows = read_rows(question.sources, model.schema, wants_classes=bool(model.classes))
    explanation = explain_rows(model, rows.table, spec, progress=progress, targets=rows.truth)
    found = _to_json(explanation, rows.inputs, pictures=())
    drawings: dict[str, Callable[[], bytes]] = {}
    if len(rows.table) > 1:
        drawings["plots/bar.png"] = partial(bar_png, explanation)
        if spec.method != "permutation":
            found["summary"] = summarise(explanation)
            drawings["plots/beeswarm.png"] = partial(beeswarm_png, explanation, model.schema)
        found["plots"] = [name.removeprefix("plots/").removesuffix(".png") for name in drawings]
    return found, drawings


def _to_json(
    explanation: Explanation, inputs: Inputs, *, pictures: Sequence[str], has_pages: bool = False
) -> dict[str, Any]:
    items = []
    for index, (given, item) in enumerate(zip(inputs, explanation.items, strict=True)):
        named = {"name": given["name"], "sha256": given["sha256"], "truncated": item.truncated}
        items.append(
            {
                "index": index,
                "input": named,
                "prediction": item.prediction,
                "targets": [_target_json(target, pictures) for target in item.targets],
                "quality": item.quality,
                "has_page": has_pages,
            }
        )
    shown = ("explainer", "fallback", "parameters", "baseline", "evaluations", "warnings", "summary")
    return {**{name: getattr(explanation, name) for name in shown}, "items": items}


def _target_json(target: TargetExplanation, pictures: Sequence[str]) -> dict[str, Any]:
    values: Any = target.attributions
    if not isinstance(values, list):
        height, width = values.shape
        values = {"height": height, "width": width, "values": values.tolist()}
    return {**vars(target), "attributions": values, "pictures": list(pictures)}
