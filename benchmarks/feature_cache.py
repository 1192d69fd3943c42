"""Twenty epochs of a head on cached features against one bare pass over the images, and against no cache.

    python benchmarks/feature_cache.py [--epochs 20]

EfficientNet-Lite0 with its packaged weights, 64 pixels, on scikit-learn's digits. The trial is timed from its start
to its last epoch, images decoded before; the bare script builds the network, computes the features of all images once
and trains a linear head on them. The target is at most 1.3 times the bare script. "No cache" is the same trial with
an augmentation that never acts, timed over a few epochs.

The second result is that of `last_stage` at 96 pixels: processor seconds of an epoch on stored activations and of one
that runs the frozen part each time, since the cache had no room; and how many epochs it takes to earn back the pass
that stores them.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from digits import QuietSink, digits_order
from torch import nn
from torch.nn.functional import cross_entropy

from service.specs.datasets import Manifest
from worker.backbones.building import build_network, load_pretrained
from worker.backbones.parts import features, head_of
from worker.backbones.pixels import PixelFormat
from worker.backbones.sources import WeightSources
from worker.data.deck import deck_of
from worker.data.decoded import Archive
from worker.data.disk_cache import DiskCache
from worker.data.splits import deal
from worker.training.image_setting import image_subject
from worker.training.order import EpochRecord, TrialOrder
from worker.training.reporting import Reporter
from worker.training.trial import run_trial

BACKBONE = "tf_efficientnet_lite0"
STAGE_SIZE = 96


class Stopwatch(QuietSink):
    """When each epoch ended, in seconds since the watch was made, by its number less one."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.started = clock, clock()
        self.ends: list[float] = []

    def epoch(self, record: EpochRecord) -> None:
        self.ends.insert(record.epoch - 1, self.clock() - self.started)


def bare(order: TrialOrder, pixels: torch.Tensor, epochs: int) -> float:
    """Seconds of a script that does it by hand: one pass over the images, then the head."""
    started = time.perf_counter()
    dealt = deal(deck_of(order.manifest), order.spec.split, 0)
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


def train_last_stage(folder: Path, *, threads: int, scratch: str, budget_bytes: int, epochs: int) -> list[float]:
    """When the epochs of a trial of the last stage ended."""
    order = digits_order(
        folder,
        threads=threads,
        scratch=scratch,
        backbone={"name": BACKBONE, "trainable": "last_stage"},
        training={"epochs": epochs, "image_size": STAGE_SIZE},
        augmentation={"policy": "none"},
        early_stopping=None,
    )
    order = replace(order, cache=DiskCache(folder / f"cache-{budget_bytes}", budget_bytes=budget_bytes))
    archive = Archive(
        order.archive, order.manifest.samples, digest=order.dataset_digest, cache=order.cache, spare=order.cache
    )
    pixels = archive.pixels(PixelFormat.of(BACKBONE, STAGE_SIZE), threads=threads, tick=lambda: None)  # and kept in use
    watch = Stopwatch(time.process_time)
    run_trial(order, watch)
    del pixels
    return watch.ends


def compare_last_stage(folder: Path, *, threads: int, epochs: int) -> dict[str, float]:
    """Both ways of training the last stage."""
    cached, again, uncached = (
        train_last_stage(folder, threads=threads, scratch=scratch, budget_bytes=budget_bytes, epochs=epochs)
        for scratch, budget_bytes in (("stage", 10**10), ("stage again", 10**10), ("stage uncached", 0))
    )
    per_epoch, without = ((ends[-1] - ends[0]) / (epochs - 1) for ends in (again, uncached))
    storing = cached[0] - again[0]
    return {
        "epoch": round(per_epoch, 3),
        "epoch_uncached": round(without, 3),
        "gain": round(without / per_epoch, 2),
        "storing": round(storing, 3),
        "epochs_to_earn_it": round(storing / (without - per_epoch), 2),
    }


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
        assert isinstance(augmented.manifest, Manifest)
        pixels = image_subject(augmented, augmented.manifest, Reporter(QuietSink(), 1)).samples
        by_hand = bare(augmented, pixels, epochs)
        cached = trial(folder, threads=threads, scratch="cached", epochs=epochs, augmentation=none)
        again = trial(folder, threads=threads, scratch="again", epochs=epochs, augmentation=none)
        by_hand = min(by_hand, bare(augmented, pixels, epochs))
        uncached = trial(folder, threads=threads, scratch="uncached", epochs=3, augmentation=idle)
        stage = compare_last_stage(folder, threads=threads, epochs=3)
    without = uncached[0] + (epochs - 1) * (uncached[2] - uncached[0]) / 2
    ratio, gain = cached[-1] / by_hand, without / cached[-1]
    print(
        f"{epochs} epochs: by hand {by_hand:.2f} s, trial {cached[-1]:.2f} s, a second trial {again[-1]:.2f} s, ",
        end="",
    )
    print(f"without the cache {without:.1f} s; {ratio:.2f} times by hand, {gain:.1f} times faster than without")
    result = {"ratio": round(ratio, 3), "target": 1.3, "second": round(again[-1] / by_hand, 3), "gain": round(gain, 1)}
    print(json.dumps({"benchmark": "feature_cache", **result}))
    print(json.dumps({"benchmark": "last_stage_cache", **stage}))


if __name__ == "__main__":
    main()
