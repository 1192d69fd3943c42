"""Trials that are stopped and resumed end as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from service.errors import Stopped
from tests.worker.training.orders import EVERYTHING, RecordingSink, order, run, scored, spec, without_seconds
from worker.training.fitting import identity
from worker.training.trial import run_trial


def test_an_early_best_epoch_is_restored_also_after_resuming(tmp_path: Path) -> None:
    monitor = {"monitor": "validation_accuracy", "patience": 100}
    job = spec(training={"epochs": 6}, early_stopping=monitor)
    whole, sink = run(order(tmp_path, job))
    best = sink.epochs[whole.best_epoch - 1]
    interrupted = order(tmp_path, job, scratch="interrupted")
    with pytest.raises(Stopped):
        run_trial(interrupted, RecordingSink(stop_after=5))
    resumed, _ = run(interrupted)

    assert whole.best_epoch < 5, "the example must be one whose best epoch is not its last"
    assert scored(whole, "validation", "loss") == pytest.approx(best.validation_loss, rel=1e-5)
    assert scored(whole, "validation", "loss") != pytest.approx(sink.epochs[-1].validation_loss, rel=1e-2)
    assert resumed.metrics == whole.metrics


@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_resumed_trial_ends_as_an_uninterrupted_one(tmp_path: Path, stop_after: int) -> None:
    job = spec(**EVERYTHING)
    whole, whole_sink = run(order(tmp_path, job))
    interrupted = order(tmp_path, job, scratch="interrupted")
    with pytest.raises(Stopped):
        run_trial(interrupted, RecordingSink(stop_after=stop_after))
    resumed, resumed_sink = run(interrupted)

    assert ("log", f"Resumed after epoch {stop_after}.") in resumed_sink.events
    assert without_seconds(resumed_sink) == without_seconds(whole_sink)
    assert resumed.metrics == whole.metrics
    assert resumed.best_epoch == whole.best_epoch
    published = [load_file(folder / "model.safetensors") for folder in (tmp_path / "scratch", tmp_path / "interrupted")]
    assert all(torch.equal(value, published[1][name]) for name, value in published[0].items())


def test_resuming_from_a_damaged_checkpoint_ends_the_same(tmp_path: Path) -> None:
    job = spec(training={"epochs": 4}, backbone={"dropout": 0.2})
    whole, _ = run(order(tmp_path, job))
    interrupted = order(tmp_path, job, scratch="interrupted")
    with pytest.raises(Stopped):
        run_trial(interrupted, RecordingSink(stop_after=3))
    newest = interrupted.scratch / "checkpoint" / "epoch-00003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    resumed, sink = run(interrupted)

    assert ("log", "Resumed after epoch 2.") in sink.events
    assert resumed.metrics == whole.metrics


def test_a_finished_trial_asked_again_answers_the_same(tmp_path: Path) -> None:
    made = order(tmp_path, spec(training={"epochs": 2}))
    first, _ = run(made)
    second, _ = run(made)
    assert second.metrics == first.metrics


def test_a_trial_begun_before_an_upgrade_is_still_the_same(tmp_path: Path) -> None:
    """The digest of a fixed order, as it was written into checkpoints: fields that come with their defaults keep it."""
    made = replace(order(tmp_path, spec(training={"ema_decay": 0.9})), dataset_digest="0" * 64)
    assert identity(made) == "db53ed20c3867e2ea798ce1bdffe93f10ee80b1a9f212ad6965a997265af3643"
    assert identity(replace(made, spec=spec(training={"ema_decay": 0.8}))) != identity(made)
    assert identity(replace(made, dataset_digest="1" * 64)) != identity(made)
