"""The explain worker's two tasks and the networks that they share."""

import torch

from worker.runtime.context import Runtime
from worker.runtime.model_cache import ModelCache
from worker.runtime.servings import Serving, compute_explanation, compute_prediction


def make_servings(runtime: Runtime) -> tuple[Serving, Serving]:
    """Predictions and explanations over one model cache."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if runtime.settings.worker_threads:
        torch.set_num_threads(runtime.settings.worker_threads)
    models = ModelCache(runtime.store, runtime.settings.model_cache_bytes, device)
    return (
        Serving(runtime, models, "predictions", compute_prediction),
        Serving(runtime, models, "explanations", compute_explanation),
    )
