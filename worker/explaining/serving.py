"""The answer that a prediction gives and that an explanation explains."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from worker.backbones.trained import TrainedNetwork
from worker.backbones.trained_text import TrainedText
from worker.data.table import Table
from worker.estimators.trained_table import TrainedTable
from worker.explaining.results import FloatArray

BATCH_SIZE = 32
Progress = Callable[[int, int], None]
"""Called between batches with inputs done and in all; may raise `Stopped`."""


def unwatched(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def predict_images(
    trained: TrainedNetwork, images: Sequence[Image.Image], progress: Progress = unwatched
) -> list[dict[str, Any]]:
    """What the network answers: `as_prediction` for each RGB image, with the raw `logits` {label: z}.

    Logits are written with the digits of float32, since 1,000 classes make them long.
    """
    answers: list[dict[str, Any]] = []
    for start in range(0, len(images), BATCH_SIZE):
        progress(start, len(images))
        with torch.inference_mode():
            batch = trained.preprocess(images[start : start + BATCH_SIZE])
            logits = trained.logits(batch).float()
            probabilities = trained.probabilities(logits).double().cpu().numpy()
        answers += _answers(logits.cpu().numpy(), probabilities, trained.classes)
    return answers


def predict_texts(trained: TrainedText, texts: Sequence[str], progress: Progress = unwatched) -> list[dict[str, Any]]:
    """As `predict_images`, for each text; `truncated` says whether the network did not read it to its end.

    Texts of like length share a batch, so that few are padded by much.
    """
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    answers: list[dict[str, Any]] = [{}] * len(texts)
    for start in range(0, len(order), BATCH_SIZE):
        progress(start, len(order))
        places = order[start : start + BATCH_SIZE]
        with torch.inference_mode():
            tokens = trained.encode([texts[place] for place in places])
            logits = trained.logits(tokens).float()
            probabilities = trained.probabilities(logits).double().cpu().numpy()
        found = _answers(logits.cpu().numpy(), probabilities, trained.classes)
        for place, answer, truncated in zip(places, found, tokens.truncated, strict=True):
            answers[place] = {**answer, "truncated": bool(truncated)}
    return answers


def predict_rows(trained: TrainedTable, table: Table) -> list[dict[str, Any]]:
    """What the model answers for each row: as `predict_images`, or `{"value": y}` in the target's units."""
    outputs = trained.outputs(trained.encode(table))
    if not trained.classes:
        return [{"value": float(value)} for value in outputs[:, 0]]
    return _answers(outputs, trained.probabilities(outputs), trained.classes)


def as_prediction(
    logits: NDArray[np.floating[Any]], probabilities: FloatArray, classes: Sequence[str]
) -> dict[str, Any]:
    """`{"label", "probability", "probabilities": {label: p}}` of [c] each; of equal logits the first class wins."""
    best = int(logits.argmax())
    return {
        "label": classes[best],
        "probability": float(probabilities[best]),
        "probabilities": {label: float(p) for label, p in zip(classes, probabilities, strict=True)},
    }


def _answers(
    logits: NDArray[np.floating[Any]], probabilities: FloatArray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    answers = []
    for raw, row in zip(logits, probabilities, strict=True):
        named = {label: float(str(z)) for label, z in zip(classes, raw, strict=True)}
        answers.append({**as_prediction(raw, row, classes), "logits": named})
    return answers
