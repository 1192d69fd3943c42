"""Asking for explanations of texts in tests, in one line."""

from collections.abc import Sequence

import numpy as np

from service.specs.explanations import ExplanationSpec
from worker.backbones.trained_text import TrainedText
from worker.explaining.results import Explanation, FloatArray, TargetExplanation
from worker.explaining.text.explainer import explain_texts

METHODS = ["shap", "lime", "integrated_gradients", "occlusion"]


def explained(trained: TrainedText, texts: Sequence[str], method: str, **more: object) -> Explanation:
    spec = ExplanationSpec.model_validate({"method": method, **more})
    return explain_texts(trained, texts, spec, progress=lambda _done, _total: None)


def values(target: TargetExplanation) -> FloatArray:
    """[m] of the words."""
    return np.array([word["attribution"] for word in target.attributions])
