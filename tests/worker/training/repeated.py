"""Runs trials in a process of their own: `python -m tests.worker.training.repeated <folder> <name> …`.

Prints a line of JSON for each: digest of the model, metrics, curve without times. With `--killed` the process kills
itself in the middle of the third epoch of the first trial.
"""

import hashlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.worker.training.orders import EVERYTHING, RecordingSink, order, run, spec, without_seconds
from worker.training.order import TrialOrder
from worker.training.trial import run_trial

JOBS: dict[str, dict[str, Any]] = {
    "everything, plateau": EVERYTHING,
    "one cycle": {
        "training": {"epochs": 4, "schedule": "one_cycle", "optimizer": "sgd", "learning_rate": 0.05},
        "augmentation": {"cutmix_alpha": 1.0, "trivial_augment": True, "random_erasing": 0.5},
    },
    "gradual, automatic": {
        "training": {"epochs": 5, "learning_rate": "auto", "batch_size": "auto", "ema_decay": 0.9, "layer_decay": 0.7},
        "backbone": {"trainable": "gradual"},
        "augmentation": {"mixup_alpha": 0.4, "horizontal_flip": 0.5},
    },
    "channels last": {
        "training": {"epochs": 3, "learning_rate": "auto"},
        "backbone": {"name": "mobilenet_v3_small", "weights": "none"},
        "early_stopping": {"monitor": "validation_loss", "min_delta": 0.0, "patience": 100},
    },
    "stochastic depth": {
        "training": {"epochs": 3, "ema_decay": 0.8, "warmup_epochs": 1},
        "backbone": {"name": "tf_efficientnet_lite0", "weights": "none", "stochastic_depth": 0.3},
    },
    "cached features": {"training": {"epochs": 4, "learning_rate": "auto"}, "backbone": {"trainable": "head"}},
}


WRITTEN = ("model.safetensors", "config.json")
DRAWN = ("split.json", "confusion_matrix.json", "calibration.json", "card.md")
"""What else a winner writes, without pictures and times."""


@dataclass
class Killer(RecordingSink):
    """Kills the process at the third batch after the second epoch."""

    batches: int = 0

    def stop_requested(self) -> bool:
        self.batches += len(self.epochs) == 2
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return False


def made(folder: Path, name: str, scratch: str, **more: Any) -> TrialOrder:
    return order(folder, spec(**{key: dict(value) for key, value in JOBS[name].items()}), scratch=scratch, **more)


def finished(trial: TrialOrder) -> dict[str, Any]:
    """Runs it to its end: all that must come out the same."""
    outcome, sink = run(trial)
    names = WRITTEN if trial.to_beat else WRITTEN + DRAWN
    digests = {name: hashlib.sha256((trial.scratch / name).read_bytes()).hexdigest() for name in names}
    last = sorted(trial.scratch.glob("checkpoint/epoch-*.safetensors"))[-1]
    return {
        "digests": digests | {"last epoch": hashlib.sha256(last.read_bytes()).hexdigest()},
        "metrics": outcome.metrics,
        "curve": [vars(record) for record in without_seconds(sink)],
        "resumed": [message for _, message in sink.events if message.startswith("Resumed")],
    }


if __name__ == "__main__":
    place, scratch, threads, *names = sys.argv[1:]
    if names[0] == "--killed":
        run_trial(made(Path(place), names[1], scratch, threads=int(threads)), Killer())
    for number, name in enumerate(names):
        trial = made(Path(place), name, f"{scratch}-{number}", threads=int(threads), draws=int(threads) > 1)
        sys.stdout.write(json.dumps(finished(trial)) + "\n")
