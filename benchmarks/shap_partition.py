"""Our partition explainer against shap.PartitionExplainer at the same budget, image, class and baseline.

    python benchmarks/shap_partition.py [--images 2] [--evaluations 500] [--shap-batch 10] [--allocator ours]

EfficientNet-Lite0 with its packaged weights at 224 pixels, in probabilities. Each runs in a process of its own, by
turns: ours as in the worker, shap as in anybody's script (`--allocator ours` gives it the worker's memory settings as
well). shap works in its default batches of 10 and has compiled its numba code before the clock starts. The maps are
compared as sums over an 8x8 grid.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import shap
import torch
from numpy.typing import NDArray
from photographs import imagenet_network, photographs
from torch import Tensor

from service.specs.explanations import ExplanationSpec, MethodParameters
from worker.backbones.trained import TrainedNetwork
from worker.explaining.baselines import baseline_images
from worker.explaining.explainer import explain_images
from worker.runtime.allocator import keep_freed_memory

Values = NDArray[np.float64]


def quiet(_done: int, _total: int) -> None:
    """No one watches."""


def on_eight(values: Values) -> Values:
    """Sums over an 8x8 grid."""
    side = len(values)
    if side < 8:
        values = np.kron(values, np.ones((8 // side, 8 // side))) * (side / 8) ** 2
    block = len(values) // 8
    return values.reshape(8, block, 8, block).sum((1, 3))


def by_shap(
    trained: TrainedNetwork, image: Tensor, label: int, *, evaluations: int, batch_size: int
) -> tuple[Values, float]:
    """shap's map [224, 224] and base value, of one preprocessed image [1, 3, s, s]."""

    def answer(batch: Values) -> Values:
        with torch.inference_mode():
            inputs = torch.from_numpy(np.asarray(batch, dtype=np.float32)).permute(0, 3, 1, 2)
            found: Values = trained.logits(inputs).softmax(1)[:, [label]].numpy()
        return found

    rows = image.permute(0, 2, 3, 1).numpy().astype(np.float64)
    hidden = baseline_images("blur", image, trained.entry)[0].permute(1, 2, 0).numpy().astype(np.float64)
    explainer = shap.PartitionExplainer(answer, shap.maskers.Image(hidden, rows.shape[1:]))
    found = explainer(rows, max_evals=evaluations, batch_size=batch_size, silent=True)
    return found.values[0].sum(axis=(2, 3)), float(np.ravel(found.base_values)[0])


def theirs_in_seconds(number: int, label: int, evaluations: int, batch_size: int) -> tuple[Values, float, float, float]:
    """shap's map of photograph `number`, its base value, its seconds, and those of as many bare forwards."""
    trained = imagenet_network()
    image = trained.preprocess(photographs(number + 1)[number:])
    started = time.perf_counter()
    values, base = by_shap(trained, image, label, evaluations=evaluations, batch_size=batch_size)
    seconds = time.perf_counter() - started
    with torch.inference_mode():
        started = time.perf_counter()
        for _ in range(10):
            trained.logits(image.expand(batch_size, -1, -1, -1))
    return values, base, seconds, (time.perf_counter() - started) / (10 * batch_size) * evaluations


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--images", type=int, default=2)
    arguments.add_argument("--evaluations", type=int, default=500)
    arguments.add_argument("--shap-batch", type=int, default=10)
    arguments.add_argument("--allocator", choices=["default", "ours"], default="default")
    asked = arguments.parse_args()
    settings = keep_freed_memory if asked.allocator == "ours" else None
    with ProcessPoolExecutor(1, get_context("spawn"), settings) as other_process:
        compare(asked, other_process)


def compare(asked: argparse.Namespace, other_process: ProcessPoolExecutor) -> None:
    """Prints a line for each image, and the whole as JSON."""
    keep_freed_memory()
    trained = imagenet_network()
    pictures = photographs(asked.images)
    spec = ExplanationSpec(method="shap", parameters=MethodParameters(evaluations=asked.evaluations))
    small = ExplanationSpec(method="shap", parameters=MethodParameters(evaluations=64))
    explain_images(trained, pictures[:1], small, progress=quiet)
    other_process.submit(theirs_in_seconds, 0, 0, 64, asked.shap_batch).result()
    rows = []
    for number, picture in enumerate(pictures):
        started = time.perf_counter()
        target = explain_images(trained, [picture], spec, progress=quiet).items[0].targets[0]
        ours = time.perf_counter() - started
        theirs, base, shaps, forwards = other_process.submit(
            theirs_in_seconds, number, int(target.label), asked.evaluations, asked.shap_batch
        ).result()
        assert target.additivity is not None
        rows.append({
            "ours_seconds": ours,
            "shap_seconds": shaps,
            "forwards_alone_seconds": forwards,
            "our_residual": target.additivity["residual"],
            "shap_residual": abs(base + float(theirs.sum()) - target.output_value),
            "correlation": float(np.corrcoef(on_eight(target.attributions).ravel(), on_eight(theirs).ravel())[0, 1]),
        })  # fmt: skip
        print({name: round(value, 9) for name, value in rows[-1].items()})
    total = {name: sum(row[name] for row in rows) for name in ("ours_seconds", "shap_seconds")}
    result = {
        "benchmark": "shap_partition",
        "evaluations": asked.evaluations,
        "threads": torch.get_num_threads(),
        "shap_batch": asked.shap_batch,
        "shap_allocator": asked.allocator,
        "times_faster": round(total["shap_seconds"] / total["ours_seconds"], 2),
        "ours_to_bare_forwards": round(total["ours_seconds"] / sum(row["forwards_alone_seconds"] for row in rows), 2),
        "largest_residual": max(row["our_residual"] for row in rows),
        "shap_largest_residual": max(row["shap_residual"] for row in rows),
        "least_correlation": round(min(row["correlation"] for row in rows), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
