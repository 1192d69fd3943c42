"""The answer that a prediction gives and that an explanation explains."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from worker.backbones.trained import TrainedNetwork
from worker.explaining.results import FloatArray

BATCH_SIZE = 32


def predict_probabilities(trained: TrainedNetwork, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
    """What the network answers: `as_prediction` for each RGB image, with the raw `logits` {label: z}.

    Logits are written with the digits of float32, since 1,000 classes make them long.
    """
    answers: list[dict[str, Any]] = []
    for start in range(0, len(images), BATCH_SIZE):
        with torch.inference_mode():
            batch = trained.preprocess(images[start : start + BATCH_SIZE])
            logits = trained.logits(batch).float()
            probabilities = trained.probabilities(logits).double().cpu().numpy()
        for raw, row in zip(logits.cpu().numpy(), probabilities, strict=True):
            named = {label: float(str(z)) for label, z in zip(trained.classes, raw, strict=True)}
            answers.append({**as_prediction(raw, row, trained.classes), "logits": named})
    return answers


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
