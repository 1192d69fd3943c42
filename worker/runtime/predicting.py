"""Predictions, by whatever model is asked."""

from collections.abc import Callable
from typing import Any

from worker.backbones.trained import TrainedNetwork
from worker.backbones.trained_text import TrainedText
from worker.explaining.serving import predict_images, predict_rows, predict_texts
from worker.runtime.asked_inputs import Sources, read_asked_texts, read_images, read_rows
from worker.runtime.servings import Answer, Question


def compute_prediction(question: Question, progress: Callable[[int, int], None]) -> Answer:
    """Labels, probabilities and logits, or values, in the order of the inputs."""
    model, digest = question.models.get(question.row.model_id)
    sources: Sources = question.sources
    progress(0, len(sources.inputs))
    answers: list[dict[str, Any]]
    if isinstance(model, TrainedNetwork):
        answers = predict_images(model, read_images(sources), progress)
    elif isinstance(model, TrainedText):
        answers = predict_texts(model, read_asked_texts(sources)[0], progress)
    else:
        answers = predict_rows(model, read_rows(sources, model.schema, wants_classes=bool(model.classes)).table)
    items = [
        {"index": index, "name": given["name"], **answer}
        for index, (given, answer) in enumerate(zip(sources.inputs, answers, strict=True))
    ]
    return Answer({"items": items, "model_digest": digest})
