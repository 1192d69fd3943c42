"""The explain worker's two tasks and the networks that they share."""

import logging
import threading
import time

import torch
from PIL import Image

from service.specs.explanations import ExplanationSpec, Method, MethodParameters
from worker.backbones.building import build_network
from worker.backbones.trained import TrainedNetwork
from worker.data.shortage import says_out_of_memory
from worker.explaining.explainer import explain_images
from worker.explaining.rendering import heatmap_png, overlay_png
from worker.runtime.allocator import keep_freed_memory
from worker.runtime.context import Runtime
from worker.runtime.explaining import compute_explanation
from worker.runtime.model_cache import ModelCache
from worker.runtime.predicting import compute_prediction
from worker.runtime.servings import Serving

log = logging.getLogger(__name__)


def make_servings(runtime: Runtime) -> tuple[Serving, Serving]:
    """Predictions and explanations over one model cache; what loads lazily is loaded in the background."""
    keep_freed_memory()
    answer_in_float32()
    device = usable_device(torch.cuda.is_available())
    if runtime.settings.worker_threads:
        torch.set_num_threads(runtime.settings.worker_threads)
    models = ModelCache(runtime.store, runtime.settings.model_cache_bytes, device)
    threading.Thread(target=warm_up, args=(device,), name="warm-up", daemon=True).start()
    return (
        Serving(runtime, models, "predictions", compute_prediction),
        Serving(runtime, models, "explanations", compute_explanation),
    )


def answer_in_float32() -> None:
    """Without TF32 in convolutions, torch's default on Ampere and later: it errs by 1e-3, which attributions show and
    the check of quick copies (1e-5) does not let pass.
    """
    torch.backends.cudnn.allow_tf32 = False


def usable_device(is_there: bool, gpu: str = "cuda") -> torch.device:
    """The first GPU, if there is one and torch can compute on it, else the CPU."""
    if not is_there:
        return torch.device("cpu")
    try:
        found = float((torch.ones(8, device=gpu) * 2).sum())
        fault = None if found == 16.0 else f"it computes 16 as {found}"
    except RuntimeError as error:
        fault = None if says_out_of_memory(error) else str(error).partition("\n")[0]
    if fault is None:
        return torch.device(gpu)
    log.warning("the GPU is left out, torch cannot use it: %s", fault)
    return torch.device("cpu")


def warm_up(device: torch.device) -> None:
    """Explains one picture by each method, so that the first client does not wait for imports and first kernels."""
    started = time.monotonic()
    network = build_network("small_cnn", classes=2, dropout=0.0, image_size=32).requires_grad_(False).eval()
    trained = TrainedNetwork(network.to(device), ["a", "b"], "small_cnn", 32, device)
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    methods: dict[Method, MethodParameters] = {
        "grad_cam": MethodParameters(),
        "shap": MethodParameters(evaluations=32),
        "lime": MethodParameters(samples=50, segments=4),
    }
    for method, parameters in methods.items():
        spec = ExplanationSpec(method=method, parameters=parameters)
        explanation = explain_images(trained, [picture], spec, progress=lambda _done, _total: None)
        attributions = explanation.items[0].targets[0].attributions
        heatmap_png(attributions, size=picture.size)
        overlay_png(picture, attributions)
    log.info("warm after %.1f s", time.monotonic() - started)
