"""Temperature scaling: probabilities that are right as often as they say (Guo et al. 2017, arXiv:1706.04599).

Logits are divided by one number before the softmax, chosen for the least negative log likelihood on validation. The
answers themselves do not change. Shapes: logits [n, c], targets [n].
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from worker.training.metrics import Floats, Integers, confidence_bins, expected_calibration_error

LOWEST, HIGHEST = 0.05, 20.0
LEAST_SAMPLES = 50
_MOST_STEPS = 100


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by, and why it is that."""

    value: float
    reason: str


def choose_temperature(logits: Tensor, targets: Tensor) -> Temperature:
    """The fitted temperature, or 1 where the samples cannot tell: too few of them, or no wrong answers to learn from.

    Without a wrong answer the likelihood grows without end as the temperature falls.
    """
    if len(targets) < LEAST_SAMPLES:
        text = f"{len(targets)} validation samples are too few, {LEAST_SAMPLES} are needed"
        return Temperature(1.0, f"Probabilities are not calibrated: {text}.")
    value = fit_temperature(logits, targets)
    if value <= LOWEST:
        text = "the wrong answers on validation are too few to tell how sure to be"
        return Temperature(1.0, f"Probabilities are not calibrated: {text}.")
    before, after = (float(cross_entropy(logits.double() / by, targets)) for by in (1.0, value))
    text = f"log loss on validation is {before:.4f} without it, {after:.4f} with it"
    return Temperature(value, f"Probabilities are calibrated with temperature {value:.3f}: {text}.")


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature in [`LOWEST`, `HIGHEST`] of the least mean negative log likelihood.

    That is convex in b = 1 / temperature: its slope is E[Σ p z - z_target], its curvature E[Var_p z] with p the
    softmax of b z. Newton's method, kept within a bracket of the root of the slope.
    """
    scores = logits.double()
    scores = scores - scores.amax(1, keepdim=True)
    aimed = scores.gather(1, targets[:, None]).mean()

    def slope_and_curvature(inverse: float) -> tuple[float, float]:
        probabilities = (inverse * scores).softmax(1)
        mean = (probabilities * scores).sum(1)
        square = (probabilities * scores.square()).sum(1)
        return float(mean.mean() - aimed), float((square - mean.square()).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope_and_curvature(high)[0] <= 0:
        return LOWEST
    if slope_and_curvature(low)[0] >= 0:
        return HIGHEST
    inverse = 1.0
    for _ in range(_MOST_STEPS):
        slope, curvature = slope_and_curvature(inverse)
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else high
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - inverse) <= 1e-10 * inverse:
            break
        inverse = following
    return 1 / inverse


def reliability(probabilities: Floats, predicted: Integers, targets: Integers) -> dict[str, object]:
    """The calibration error, and what it is made of: samples, mean confidence and accuracy of each of 15 bins.

    `samples` is 0 and the means are None where a bin is empty.
    """
    confidences, correct = probabilities.max(1), predicted == targets
    places, count = confidence_bins(confidences)
    bins: list[dict[str, object]] = []
    for place in range(count):
        inside = places == place
        samples = int(inside.sum())
        confidence = float(confidences[inside].mean()) if samples else None
        accuracy = float(correct[inside].mean()) if samples else None
        edges = {"low": place / count, "high": (place + 1) / count}
        bins.append({**edges, "samples": samples, "confidence": confidence, "accuracy": accuracy})
    return {"expected_calibration_error": expected_calibration_error(confidences, correct), "bins": bins}
