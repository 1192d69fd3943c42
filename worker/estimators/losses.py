"""What estimators are judged by while they are fitted, from float64 outputs; and probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def cross_entropy(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean over samples of -log softmax(outputs)[target] in nats; [n, c] logits, [n] class indices."""
    chosen = log_softmax(outputs)[np.arange(len(targets)), targets]
    return float(-chosen.mean())


def squared_error(outputs: Floats, targets: NDArray[Any]) -> float:
    """Mean over samples of (output - target)²; [n, 1] values, [n] targets."""
    return float(((outputs[:, 0] - targets) ** 2).mean())


def calibrated(outputs: Floats, temperature: float) -> Floats:
    """[n, c] logits → [n, c] probabilities: softmax(logits / temperature) (Guo et al. 2017, eq. 9)."""
    result: Floats = np.exp(log_softmax(outputs / temperature))
    return result


def log_softmax(logits: Floats) -> Floats:
    """[n, c] → [n, c] logarithms of the shares, for logits of any size."""
    result: Floats = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result
