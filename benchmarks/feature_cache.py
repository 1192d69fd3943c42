"""Twenty epochs of a head on cached features against one bare pass over the images, and against no cache.

    python benchmarks/feature_cache.py [--epochs 20]

EfficientNet-Lite0 with its packaged weights, 64 pixels, on scikit-learn's digits. The trial is timed from its start
to its last epoch, images decoded before; the bare script builds the network, computes the features of all images once
and trains a linear head on them. The target is at most 1.3 times the bare script. "No cache" is the same trial with
an augmentation that never acts, timed over a few epochs.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch
from digits import QuietSink, digits_order
from torch import nn
from torch.nn.functional import cross_entropy

from worker.backbones.building import build_network, load_pretrained
from worker.backbones.parts import features, head_of
from worker.backbones.pixels import PixelFormat
from worker.backbones.sources import WeightSources
from worker.data.splits import deal
from worker.training.order import EpochRecord, TrialOrder
from worker.training.reporting import Reporter
from worker.training.setting import set_up
from worker.training.trial import run_trial

BACKBONE = "tf_efficientnet_lite0"


class Stopwatch(QuietSink):
    """When each epoch ended, in seconds since the watch was made, by its number less one."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.ends: list[float] = []

    def epoch(self, record: EpochRecord) -> None:
        self.ends.insert(record.epoch - 1, time.perf_counter() - self.started)


def bare(order: TrialOrder, pixels: torch.Tensor, epochs: int) -> float:
    """Seconds of a script that does it by hand: one pass over the images, then the head."""
    started = time.perf_counter()
    dealt = deal(order.manifest, order.spec.split, 0)
    targets = torch.tensor([int(sample.label) for sample in order.manifest.samples])
    network = build_network(BACKBONE, classes=10, dropout=0.2, image_size=64).eval()
    load_pretrained(network, BACKBONE, WeightSources())
    network = network.to(memory_format=torch.channels_last)
    normalise = PixelFormat.of(BACKBONE, 64).normalise
    with torch.inference_mode():
        made = torch.cat([features(network, normalise(batch), BACKBONE) for batch in pixels.split(64)])
    made = made.clone()
    head: nn.Module = head_of(network, BACKBONE)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    train, validation = torch.tensor(dealt["train"]), torch.tensor(dealt["validation"])
    for _ in range(epochs):
        head.train()
        for indices in train[torch.randperm(len(train))].split(order.spec.training.batch_size):
            optimizer.zero_grad()
            cross_entropy(head(made[indices]), targets[indices]).backward()
            optimizer.step()
        head.eval()
        with torch.inference_mode():
            head(made[validation]).argmax(1)
    return time.perf_counter() - started


def trial(folder: Path, *, threads: int, scratch: str, epochs: int, **spec: object) -> list[float]:
    """When the epochs of a trial of the head ended."""
    order = digits_order(
        folder,
        threads=threads,
        scratch=scratch,
        backbone={"name": BACKBONE, "trainable": "head"},
        training={"epochs": epochs, "image_size": 64},
        early_stopping=None,
        **spec,
    )
    watch = Stopwatch()
    run_trial(order, watch)
    return watch.ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    epochs, threads = arguments.epochs, arguments.threads
    torch.set_num_threads(threads)
    none = {"policy": "none"}
    idle = {"vertical_flip": 1e-30}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        augmented = digits_order(folder, threads=threads, training={"image_size": 64}, augmentation=idle)
        pixels = set_up(augmented, Reporter(QuietSink(), 1)).samples
        by_hand = bare(augmented, pixels, epochs)
        cached = trial(folder, threads=threads, scratch="cached", epochs=epochs, augmentation=none)
        again = trial(folder, threads=threads, scratch="again", epochs=epochs, augmentation=none)
        by_hand = min(by_hand, bare(augmented, pixels, epochs))
        uncached = trial(folder, threads=threads, scratch="uncached", epochs=3, augmentation=idle)
    without = uncached[0] + (epochs - 1) * (uncached[2] - uncached[0]) / 2
    ratio, gain = cached[-1] / by_hand, without / cached[-1]
    print(
        f"{epochs} epochs: by hand {by_hand:.2f} s, trial {cached[-1]:.2f} s, a second trial {again[-1]:.2f} s, ",
        end="",
    )
    print(f"without the cache {without:.1f} s; {ratio:.2f} times by hand, {gain:.1f} times faster than without")
    result = {"ratio": round(ratio, 3), "target": 1.3, "second": round(again[-1] / by_hand, 3), "gain": round(gain, 1)}
    print(json.dumps({"benchmark": "feature_cache", **result}))


if __name__ == "__main__":
    main()
