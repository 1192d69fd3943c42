"""Images per second of a trial's epochs against a bare PyTorch loop with the same network.

    python benchmarks/training.py [--epochs 3] [--policy none]

EfficientNet-Lite0, 64 pixels, batches of 32, on scikit-learn's digits. A trial's epoch is everything between two of
its reports: training, evaluation, checkpoint. After each of them the bare loop runs an epoch of its own, so that both
see the same machine: AdamW on pre-decoded float tensors, channels_last, then an evaluation of the validation split.
On a busy machine the ratio of processor seconds says more than that of wall clock; both are printed.
The target is a ratio of at least 0.95 with the policy `none`; augmentation comes on top, as it costs the same anywhere.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
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

    def epoch(self) -> None:
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


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall and on the processors."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> "Spent":
        return cls(time.perf_counter(), time.process_time())

    def less(self, earlier: "Spent") -> "Spent":
        return Spent(self.wall - earlier.wall, self.processor - earlier.processor)


class TimingSink(QuietSink):
    """Times the trial's epochs and runs a bare one after each; the first of both warms up."""

    def __init__(self, bare: BareLoop) -> None:
        self.bare = bare
        self.trial: list[Spent] = []
        self.loop: list[Spent] = []
        self.since = Spent.now()

    def epoch(self, record: EpochRecord) -> None:
        between = Spent.now()
        self.bare.epoch()
        end = Spent.now()
        self.trial.append(between.less(self.since))
        self.loop.append(end.less(between))
        print(f"epoch {record.epoch}: trial {self.trial[-1].wall:.2f} s, bare loop {self.loop[-1].wall:.2f} s")
        self.since = Spent.now()


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
    trial, loop = sink.trial[1:], sink.loop[1:]
    ratio = median(spent.wall for spent in loop) / median(spent.wall for spent in trial)
    processor = median(spent.processor for spent in loop) / median(spent.processor for spent in trial)
    print(f"throughput against the bare loop: {ratio:.3f} by the wall clock, {processor:.3f} by processor seconds")
    result = {"ratio": round(ratio, 3), "processor_ratio": round(processor, 3), "target": 0.95}
    print(json.dumps({"benchmark": "training", "policy": arguments.policy, **result}))


if __name__ == "__main__":
    main()
