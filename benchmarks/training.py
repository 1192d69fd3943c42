"""Images per second of a trial's epochs against a bare PyTorch loop with the same network.

    python benchmarks/training.py [--epochs 3] [--policy none]

EfficientNet-Lite0, 64 pixels, batches of 32, on scikit-learn's digits. A trial's epoch is everything between two of
its reports: training, evaluation, checkpoint. After each of them the bare loop runs an epoch of its own, so that both
see the same machine: AdamW on pre-decoded float tensors, channels_last, then an evaluation of the validation split.
The target is a ratio of at least 0.95 with the policy `none`; augmentation comes on top, as it costs the same anywhere.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from digits import QuietSink, digits_order
from torch.nn.functional import cross_entropy

from worker.backbones.building import build_network
from worker.training.order import EpochRecord, TrialOrder
from worker.training.reporting import Reporter
from worker.training.setting import set_up
from worker.training.trial import run_trial

BACKBONE = "tf_efficientnet_lite0"


class BareLoop:
    """The shortest sensible fine-tuning loop, on the same split of the same pixels."""

    def __init__(self, order: TrialOrder) -> None:
        setting = set_up(order, Reporter(QuietSink(), 1))
        self.batch_size = order.spec.training.batch_size
        everything = setting.trained.normalise(setting.samples)
        self.images, self.targets, self.dealt = everything, setting.targets, setting.dealt
        network = build_network(BACKBONE, classes=10, dropout=0.2, image_size=64)
        self.network = network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=0.01)

    def epoch(self) -> float:
        """Seconds of one epoch."""
        started = time.perf_counter()
        self.network.train()
        train = torch.tensor(self.dealt["train"])
        for indices in train[torch.randperm(len(train))].split(self.batch_size):
            if len(indices) > 1:
                self.optimizer.zero_grad()
                loss = cross_entropy(self.network(self.images[indices]), self.targets[indices])
                loss.backward()
                self.optimizer.step()
                loss.item()
        self.network.eval()
        with torch.inference_mode():
            for indices in torch.tensor(self.dealt["validation"]).split(64):
                self.network(self.images[indices]).argmax(1)
        return time.perf_counter() - started


class TimingSink(QuietSink):
    """Times the trial's epochs and runs a bare one after each; the first of both warms up."""

    def __init__(self, bare: BareLoop) -> None:
        self.bare = bare
        self.trial_seconds: list[float] = []
        self.bare_seconds: list[float] = []
        self.since = time.perf_counter()

    def epoch(self, record: EpochRecord) -> None:
        self.trial_seconds.append(time.perf_counter() - self.since)
        self.bare_seconds.append(self.bare.epoch())
        print(f"epoch {record.epoch}: trial {self.trial_seconds[-1]:.2f} s, bare loop {self.bare_seconds[-1]:.2f} s")
        self.since = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--policy", default="none", choices=["none", "light", "standard", "strong"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        order = digits_order(
            Path(folder),
            threads=arguments.threads,
            backbone={"name": BACKBONE, "weights": "none"},
            training={"epochs": arguments.epochs, "image_size": 64, "batch_size": 32},
            augmentation={"policy": arguments.policy},
            early_stopping=None,
        )
        torch.set_num_threads(arguments.threads)
        sink = TimingSink(BareLoop(order))
        run_trial(order, sink)
    trial, bare = median(sink.trial_seconds[1:]), median(sink.bare_seconds[1:])
    ratio = median(theirs / ours for ours, theirs in zip(sink.trial_seconds[1:], sink.bare_seconds[1:], strict=True))
    print(f"an epoch of a trial {trial:.2f} s, of a bare loop {bare:.2f} s; throughput ratio {ratio:.3f}")
    print(json.dumps({"benchmark": "training", "policy": arguments.policy, "ratio": round(ratio, 3), "target": 0.95}))


if __name__ == "__main__":
    main()
