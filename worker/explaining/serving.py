"""The answer that a prediction gives and that an explanation explains."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from worker.backbones.trained import TrainedNetwork
from worker.explaining.results import FloatArray

BATCH_SIZE = 32


def predict_probabilities(trained: TrainedNetwork, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """What the network answers: `{"label", "probability", "probabilities": {label: p}}` for each RGB image."""
    answers: list[dict[str, Any]] = []
    for start in range(0, len(images), BATCH_SIZE):
        with torch.inference_mode():
            batch = trained.preprocess(images[start : start + BATCH_SIZE])
            probabilities = trained.logits(batch).float().softmax(dim=1).double().cpu().numpy()
        answers += [as_prediction(row, trained.classes) for row in probabilities]
    return answers


def as_prediction(probabilities: FloatArray, classes: Sequence[str]) -> dict[str, Any]:
    """Probabilities [c] with their names; of equals the first class wins."""
    best = int(probabilities.argmax())
    return {
        "label": classes[best],
        "probability": float(probabilities[best]),
        "probabilities": {label: float(p) for label, p in zip(classes, probabilities, strict=True)},
    }
