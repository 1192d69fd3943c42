"""A tuning job over HTTP against the script that one writes first: the same network, space, split and number of trials.

    PYTHONPATH=. python benchmarks/tuning.py --archive fashion.zip [--trainable head|all] [--trials 30] [--epochs 10]
                                             [--samples 0] [--script-trials 3] [--workers 1] [--threads 0] [--seed 0]
                                             [--search bayesian|unpruned]

Both search the learning rate (1e-5 to 0.1, logarithmic) and the batch size (16, 32, 64) with Optuna's TPE and median
pruner. The script is Optuna's PyTorch example with a timm network: it opens the images of every batch, sends them
through the frozen network in every epoch, and keeps nothing between trials. It trains on the split that the job has
dealt, so that the best validation losses can be compared. With `--script-trials` it runs fewer trials and its time is
scaled up, which is said in the result and flatters us, as the first five trials are never pruned. `--seed` is of both
searches and of the split. Without an archive, scikit-learn's digits are used. `--workers 2` runs two
trials at once, each with `--threads` threads (0: its share of the cores). `--script-trials 0` leaves the script out.
`--search unpruned` runs the same trials to their ends whatever the number of workers, to compare these.
"""

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import torch
from digits import digits_order
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tests.live import Live, live_service
from worker.backbones.building import build_network, load_pretrained
from worker.backbones.parts import head_of
from worker.backbones.sources import WeightSources

BACKBONE = "tf_efficientnet_lite0"
SIZE = 64
SPACE = {
    "training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
    "training.batch_size": {"choices": [16, 32, 64]},
}
SEARCHES = {"bayesian": {"strategy": "bayesian"}, "unpruned": {"strategy": "random", "pruner": "none"}}


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Images of a zip of class folders, opened when they are asked for."""

    def __init__(self, archive: Path, paths: list[str], classes: list[str]) -> None:
        self.archive, self.paths, self.classes = zipfile.ZipFile(archive), paths, classes
        self.transform = transforms.Compose([
            transforms.Resize((SIZE, SIZE), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path = self.paths[index]
        image = Image.open(io.BytesIO(self.archive.read(path))).convert("RGB")
        return self.transform(image), self.classes.index(path.split("/")[-2])


def script(archive: Path, split: dict[str, list[str]], asked: argparse.Namespace, trials: int) -> dict[str, float]:
    """Seconds and best validation loss of the script."""
    epochs, trainable = asked.epochs, asked.trainable
    classes = sorted({path.split("/")[-2] for path in split["train"]})
    train = Pictures(archive, split["train"], classes)
    validation = DataLoader(Pictures(archive, split["validation"], classes), batch_size=64)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("lr", 1e-5, 0.1, log=True)
        batch_size = trial.suggest_categorical("batch_size", [16, 32, 64])
        torch.manual_seed(asked.seed)
        network = build_network(BACKBONE, classes=len(classes), dropout=0.2, image_size=SIZE)
        load_pretrained(network, BACKBONE, WeightSources())
        if trainable == "head":
            network.requires_grad_(False)
            head_of(network, BACKBONE).requires_grad_(True)
        optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
        loader = DataLoader(train, batch_size=batch_size, shuffle=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
        best = float("inf")
        for epoch in range(epochs):
            network.train(trainable == "all")
            for images, targets in loader:
                optimizer.zero_grad()
                cross_entropy(network(images), targets).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                losses = [cross_entropy(network(images), targets, reduction="sum") for images, targets in validation]
            loss = float(sum(losses)) / len(split["validation"])
            best = min(best, loss) if loss == loss else best
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=asked.seed), pruner=optuna.pruners.MedianPruner()
    )
    started = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return {"seconds": time.perf_counter() - started, "best_loss": study.best_value}


def tuned(live: Live, archive: Path, asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Seconds, best validation loss and trials of the job; and its split."""
    dataset = live.client.upload_dataset(archive, wait_seconds=60)
    spec = {
        "dataset_id": dataset["id"],
        "seed": asked.seed,
        "backbone": {"name": BACKBONE, "trainable": asked.trainable},
        "augmentation": {"policy": "none"},
        "training": {"epochs": asked.epochs, "image_size": SIZE},
        "tuning": {"trials": asked.trials, "parallel": asked.workers, "space": SPACE} | SEARCHES[asked.search],
        "limits": {"wall_seconds": 4 * 3600},
    }
    started = time.perf_counter()
    job = live.client.wait(live.client.submit_job(spec))
    seconds = time.perf_counter() - started
    assert job["state"] == "succeeded", job
    trials = live.client.trials(job["id"])
    states = [trial["state"] for trial in trials]
    split = json.loads(live.client.download(f"/v1/models/{job['model_id']}/artifacts/split.json"))  # type: ignore[arg-type]
    found = {
        "seconds": round(seconds, 1),
        "best_loss": round(job["metrics"]["validation"]["loss"], 4),
        "trials": len(trials),
        "pruned": states.count("pruned"),
        "epochs": sum(len(trial["epochs"]) for trial in trials),
        "trials_per_minute": round(60 * len(trials) / seconds, 1),
    }
    return found, split


@contextmanager
def chosen(archive: Path | None, samples: int, folder: Path) -> Iterator[Path]:
    """The archive, or the digits; of it every so-many-th image, so that about `samples` are left (0: all)."""
    whole = archive or digits_order(folder, threads=1).archive
    if not samples:
        yield whole
        return
    part = folder / "part.zip"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(part, "w") as target:
        names = sorted(name for name in source.namelist() if not name.endswith("/"))
        for name in names[:: max(1, len(names) // samples)]:
            target.writestr(name, source.read(name))
    yield part


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--archive", type=Path)
    arguments.add_argument("--trainable", choices=["head", "all"], default="head")
    arguments.add_argument("--trials", type=int, default=30)
    arguments.add_argument("--epochs", type=int, default=10)
    arguments.add_argument("--samples", type=int, default=0)
    arguments.add_argument("--script-trials", type=int, default=3)
    arguments.add_argument("--search", choices=[*SEARCHES], default="bayesian")
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    slots = {"TUNELENS_TRAIN_SLOTS": str(asked.workers)}
    if asked.threads:
        slots["TUNELENS_WORKER_THREADS"] = str(asked.threads)
    with tempfile.TemporaryDirectory() as name, chosen(asked.archive, asked.samples, Path(name)) as archive:
        with live_service(Path(name) / "data", **slots) as live:
            ours, split = tuned(live, archive, asked)
        print(json.dumps(ours))
        if not asked.script_trials:
            return
        count = min(asked.script_trials, asked.trials)
        theirs = script(archive, split, asked, count)
    scaled = theirs["seconds"] * asked.trials / count
    result = {
        "benchmark": "tuning",
        "trainable": asked.trainable,
        "ours": ours,
        "script": {name: round(value, 4) for name, value in theirs.items()} | {"trials": count},
        "script_seconds_scaled_to_all_trials": round(scaled, 1),
        "times_faster": round(scaled / ours["seconds"], 1),
        "loss_not_worse": ours["best_loss"] <= theirs["best_loss"] + 1e-4,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
