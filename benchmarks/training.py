"""Images per second of a trial's epochs against a bare PyTorch loop with the same network.

    python benchmarks/training.py [--epochs 4] [--policy none]

EfficientNet-Lite0, 64 pixels, batches of 32, on scikit-learn's digits. A trial's epoch is everything between two of
its reports: training, evaluation, checkpoint. Whenever the trial asks its sink whether to stop, at every batch, the
bare loop does one batch of its own, so that whatever else runs slows both alike: AdamW on pre-decoded float tensors,
channels_last, and an evaluation of the validation split after each epoch. The first epoch warms up.
The target is a ratio of at least 0.95 with the policy `none`; augmentation comes on top, as it costs the same anywhere.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from digits import QuietSink, digits_order
from torch.nn.functional import cross_entropy

from worker.backbones.building import build_network
from worker.training.image_subject import ImageSubject
from worker.training.order import EpochRecord, TrialOrder
from worker.training.reporting import Reporter
from worker.training.setting_up import set_up
from worker.training.subject import EVALUATION_BATCH
from worker.training.trial import run_trial

BACKBONE = "tf_efficientnet_lite0"


class BareLoop:
    """The shortest sensible fine-tuning loop, on the same split of the same pixels."""

    def __init__(self, order: TrialOrder) -> None:
        setting = set_up(order, Reporter(QuietSink(), 1))
        self.batch_size = order.spec.training.batch_size
        subject = setting.subject
        assert isinstance(subject, ImageSubject)
        everything = subject.trained.normalise(subject.samples)
        self.images, self.targets, self.dealt = everything, subject.targets, setting.dealt
        network = build_network(BACKBONE, classes=10, dropout=0.2, image_size=64)
        self.network = network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=0.01)

    @property
    def batches_per_epoch(self) -> int:
        train, validation = len(self.dealt["train"]), len(self.dealt["validation"])
        return -(-train // self.batch_size) - (-validation // EVALUATION_BATCH)

    def batches(self) -> Iterator[None]:
        """Epoch after epoch, batch by batch."""
        while True:
            yield from self.train()
            yield from self.evaluate()

    def train(self) -> Iterator[None]:
        self.network.train()
        train = torch.tensor(self.dealt["train"])
        for indices in train[torch.randperm(len(train))].split(self.batch_size):
            self.optimizer.zero_grad()
            loss = cross_entropy(self.network(self.images[indices]), self.targets[indices])
            loss.backward()
            self.optimizer.step()
            loss.item()
            yield

    def evaluate(self) -> Iterator[None]:
        self.network.eval()
        for indices in torch.tensor(self.dealt["validation"]).split(EVALUATION_BATCH):
            with torch.inference_mode():
                self.network(self.images[indices]).argmax(1)
            yield


@dataclass
class Spent:
    """Seconds on the wall and on the processors."""

    wall: float = 0.0
    processor: float = 0.0

    def add(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.wall += end[0] - start[0]
        self.processor += end[1] - start[1]


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


class AlternatingSink(QuietSink):
    """Lets the bare loop do a batch for each of the trial's, from the second epoch to the last."""

    def __init__(self, bare: BareLoop, epochs: int) -> None:
        self.batches, self.epochs = bare.batches(), epochs
        self.batches_per_epoch = bare.batches_per_epoch
        self.trial, self.loop = Spent(), Spent()
        self.since: tuple[float, float] | None = None

    def stop_requested(self) -> bool:
        if self.since:
            between = now()
            self.trial.add(self.since, between)
            with torch.inference_mode(False):
                next(self.batches)
            self.since = now()
            self.loop.add(between, self.since)
        return False

    def epoch(self, record: EpochRecord) -> None:
        if self.since:
            self.trial.add(self.since, now())
        else:
            for _ in range(self.batches_per_epoch):
                next(self.batches)
        self.since = now() if record.epoch < self.epochs else None


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
        sink = AlternatingSink(BareLoop(order), arguments.epochs)
        run_trial(order, sink)
    ratio, processor = sink.loop.wall / sink.trial.wall, sink.loop.processor / sink.trial.processor
    print(
        f"{arguments.epochs - 1} epochs: trial {sink.trial.wall:.2f} s, bare loop {sink.loop.wall:.2f} s; throughput ",
        end="",
    )
    print(f"{ratio:.3f} by the wall clock, {processor:.3f} by processor seconds")
    result = {"ratio": round(ratio, 3), "processor_ratio": round(processor, 3), "target": 0.95}
    print(json.dumps({"benchmark": "training", "policy": arguments.policy, **result}))


if __name__ == "__main__":
    main()
