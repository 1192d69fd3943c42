"""Our Grad-CAM against a forward, captum's LayerGradCam and pytorch-grad-cam, in one process.

    python benchmarks/grad_cam.py [--repeats 30] [--batch 1]

EfficientNet-Lite0 with its packaged weights at 224 pixels, one class per image at the last map. All methods take
turns in every repeat; the medians of the ratios within a repeat count. "ours" answers the prediction as well as the
map; captum is given the class for free and, as "predict + captum", finds it by a forward first. "whole request" is
`explain_images` from the decoded picture, with its two PNGs.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from captum.attr import LayerGradCam
from photographs import imagenet_network, photographs
from torch import Tensor

from service.specs.explanations import ExplanationSpec
from worker.explaining.explainer import explain_images
from worker.explaining.grad_cam import grad_cams
from worker.explaining.layers import find_layer
from worker.explaining.rendering import heatmap_png, overlay_png


def quiet(_done: int, _total: int) -> None:
    """No one watches."""


def in_turns(methods: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each method in each repeat, after two to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(repeats + 2):
        for name, method in methods.items():
            started = time.perf_counter()
            method()
            if repeat >= 2:
                spent[name].append(1000 * (time.perf_counter() - started))
    return spent


def ratio(spent: dict[str, list[float]], one: str, other: str) -> float:
    """Median over the repeats of one method's time to another's: what else the machine does weighs on both."""
    return round(statistics.median(a / b for a, b in zip(spent[one], spent[other], strict=True)), 3)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--repeats", type=int, default=30)
    arguments.add_argument("--batch", type=int, default=1)
    asked = arguments.parse_args()
    warnings.filterwarnings("ignore", message=".*required_grads.*|.*requires_grad.*|.*backward hook.*")
    trained = imagenet_network()
    pictures = photographs(asked.batch)
    batch = trained.preprocess(pictures)
    layer = find_layer(trained.network, trained.entry.architecture, batch[:1])
    module = trained.network.get_submodule(layer.name)
    captum = LayerGradCam(trained.network, module)

    def predicted(logits: Tensor) -> Tensor:
        return logits.argmax(1, keepdim=True)

    def forward() -> Tensor:
        with torch.inference_mode():
            return trained.logits(batch)

    classes = forward().argmax(1)
    spec = ExplanationSpec(method="grad_cam")

    def request() -> list[bytes]:
        found = explain_images(trained, pictures, spec, progress=quiet)
        maps = [item.targets[0].attributions for item in found.items]
        return [heatmap_png(one, size=picture.size) + overlay_png(picture, one)
                for one, picture in zip(maps, pictures, strict=True)]  # fmt: skip

    methods: dict[str, Callable[[], object]] = {
        "forward": forward,
        "ours": lambda: grad_cams(trained.network, layer, batch, predicted),
        "captum": lambda: captum.attribute(batch.clone(), classes, relu_attributions=True),
        "predict + captum": lambda: captum.attribute(batch.clone(), forward().argmax(1), relu_attributions=True),
        "whole request": request,
    }
    try:
        from pytorch_grad_cam import GradCAM

        camera = GradCAM(model=trained.network, target_layers=[module])
        methods["pytorch-grad-cam"] = lambda: camera(batch.clone().requires_grad_(), targets=None)
    except ImportError:
        print("pytorch-grad-cam is not installed: left out")
    _, ours = grad_cams(trained.network, layer, batch, predicted)
    theirs = captum.attribute(batch.clone(), classes, relu_attributions=True).detach()
    spent = in_turns(methods, asked.repeats)
    medians = {name: round(statistics.median(times), 2) for name, times in spent.items()}
    result = {
        "benchmark": "grad_cam",
        "layer": layer.name,
        "batch": asked.batch,
        "milliseconds": medians,
        "ours_in_forwards": ratio(spent, "ours", "forward"),
        "ours_to_captum": ratio(spent, "ours", "captum"),
        "ours_to_predict_and_captum": ratio(spent, "ours", "predict + captum"),
        "request_to_predict_and_captum": ratio(spent, "whole request", "predict + captum"),
        "largest_difference_to_captum": float((ours[:, 0] - theirs[:, 0]).abs().max() / theirs.abs().max()),
    }
    for name, median in medians.items():
        print(f"{name:18} {median:8.2f} ms  {ratio(spent, name, 'forward'):.2f} forwards")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
