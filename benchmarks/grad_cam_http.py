"""Grad-CAM over HTTP against captum's LayerGradCam in process: the same network, the same picture, in turns.

    PYTHONPATH=. python benchmarks/grad_cam_http.py [--repeats 40]

Starts the embedded service, trains the head of EfficientNet-Lite0 at 224 px for one epoch, and asks for one Grad-CAM
at a time: a request carries the upload, the row, the nudge, the worker's forward and backward, both PNGs, and the
JSON answer. captum gets a decoded, normalised tensor and the class for free; it runs in this process with as many
threads as the worker has. What counts is the median of the differences within a repeat: at most 25 ms.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import httpx
import torch
from captum.attr import LayerGradCam
from photographs import photographs

from tests.live import live_service, squares
from worker.backbones.trained import load_trained
from worker.explaining.layers import find_layer

SPEC = {
    "backbone": {"name": "tf_efficientnet_lite0", "trainable": "head"},
    "training": {"epochs": 1, "image_size": 224},
    "augmentation": {"policy": "none"},
}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--repeats", type=int, default=40)
    repeats = arguments.parse_args().repeats
    warnings.filterwarnings("ignore", message=".*required_grads.*|.*requires_grad.*|.*backward hook.*")
    with tempfile.TemporaryDirectory() as folder, live_service(Path(folder)) as live:
        dataset = live.client.upload_dataset(squares(each=20), wait_seconds=60)
        job = live.client.wait(live.client.submit_job({"dataset_id": dataset["id"], **SPEC}))
        model = f"/v1/models/{job['model_id']}"
        config = json.loads(live.client.download(f"{model}/artifacts/config.json"))  # type: ignore[arg-type]
        weights = live.client.download(f"{model}/artifacts/model.safetensors")
        trained = load_trained(config, weights, torch.device("cpu"))  # type: ignore[arg-type]
        picture = photographs(1)[0].resize((224, 224))
        print(json.dumps(compare(trained, picture, live.http, f"{model}/explanations", repeats)))


def compare(trained: Any, picture: Any, http: httpx.Client, path: str, repeats: int) -> dict[str, Any]:
    """Milliseconds of both, by turns, after five to warm up."""
    batch = trained.preprocess([picture]).contiguous(memory_format=torch.channels_last)
    layer = find_layer(trained.network, trained.entry.architecture, batch)
    captum = LayerGradCam(trained.network, trained.network.get_submodule(layer.name))
    index = int(trained.logits(batch).argmax())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    form = {"file": ("photograph.png", buffer.getvalue())}
    over_http, in_process, compute, queued = [], [], [], []
    for repeat in range(repeats + 5):
        started = time.perf_counter()
        answer = http.post(path, files=form, data={"spec": '{"method": "grad_cam"}'}).json()
        middle = time.perf_counter()
        captum.attribute(batch, target=index, relu_attributions=True)
        ended = time.perf_counter()
        assert answer["state"] == "succeeded", answer
        if repeat >= 5:
            over_http.append(1000 * (middle - started))
            in_process.append(1000 * (ended - middle))
            compute.append(1000 * answer["timing"]["compute_seconds"])
            queued.append(1000 * answer["timing"]["queue_seconds"])
    above = [ours - theirs for ours, theirs in zip(over_http, in_process, strict=True)]
    medians = {"http_ms": over_http, "captum_ms": in_process, "above_ms": above, "compute_ms": compute,
               "queue_ms": queued}  # fmt: skip
    return {"threads": torch.get_num_threads()} | {
        name: round(statistics.median(values), 1) for name, values in medians.items()
    }


if __name__ == "__main__":
    main()
