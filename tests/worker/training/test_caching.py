"""Trials that train on what a frozen part made of the images once, against trials that run it every time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from service.errors import Stopped
from tests.worker.training.orders import RecordingSink, order, run, scored, spec
from worker.data.disk_cache import DiskCache
from worker.training.order import TrialOrder, TrialOutcome
from worker.training.trial import run_trial

IDLE = {"vertical_flip": 1e-30}
"""A flip that never happens keeps the cache of the frozen part out."""
MORE: list[dict[str, Any]] = [
    {},
    {"training": {"epochs": 6, "ema_decay": 0.8, "weight_decay": 0.1}},
    {"training": {"optimizer": "sgd", "backbone_learning_rate": 1e-4, "schedule": "plateau"}},
]
ARCHITECTURES = [
    "resnet18",
    "tf_efficientnet_lite0",
    "mobilenet_v3_small",
    "densenet121",
    "convnext_tiny",
    "swin_t",
]


def cached_files(folder: Path) -> list[str]:
    """Without heads, which are kept for the next trial."""
    kinds = sorted(path.name.partition("-")[0] for path in (folder / "cache").glob("*/*"))
    return [kind for kind in kinds if kind != "head"]


def same_course(
    ours: tuple[TrialOutcome, RecordingSink], theirs: tuple[TrialOutcome, RecordingSink], rel: float = 1e-4
) -> None:
    for mine, other in zip(ours[1].epochs, theirs[1].epochs, strict=True):
        for name in ("train_loss", "validation_loss", "train_accuracy", "validation_macro_f1"):
            assert getattr(mine, name) == pytest.approx(getattr(other, name), rel=rel)
    for split in ("train", "validation", "test"):
        assert scored(ours[0], split, "loss") == pytest.approx(scored(theirs[0], split, "loss"), rel=rel)


def without_room(made: TrialOrder) -> TrialOrder:
    return replace(made, cache=DiskCache(made.cache.folder.with_name("small"), budget_bytes=0))


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("trainable", ["head", "last_stage"])
def test_training_on_stored_outputs_is_training_the_whole_network(
    tmp_path: Path, trainable: str, more: dict[str, Any]
) -> None:
    backbone = {"trainable": trainable, "dropout": 0.4}
    cached = order(tmp_path, spec(backbone=backbone, **more), scratch="cached")
    uncached = order(tmp_path, spec(backbone=backbone, augmentation=IDLE, **more), scratch="uncached")
    ours = run(cached)
    assert cached_files(tmp_path) == ["features", "pixels"]
    theirs = run(uncached)

    assert cached_files(tmp_path) == ["features", "pixels"]
    same_course(ours, theirs)
    published = load_file(cached.scratch / "model.safetensors")
    expected = load_file(uncached.scratch / "model.safetensors")
    assert published.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(published[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_last_stages_of_every_architecture(tmp_path: Path, name: str) -> None:
    backbone = {"name": name, "weights": "none", "trainable": "last_stage"}
    training = {"epochs": 2, "learning_rate": 1e-3, "optimizer": "sgd", "image_size": 64}
    cached, uncached = (
        order(
            tmp_path,
            spec(backbone=backbone, training=training, augmentation=augmentation),
            per_class=8,
            scratch=scratch,
        )
        for augmentation, scratch in (({"policy": "none"}, "cached"), (IDLE, "uncached"))
    )
    ours, theirs = run(cached), run(uncached)

    assert cached_files(tmp_path) == ["features", "pixels"]
    same_course(ours, theirs, rel=1e-3)


def test_trials_that_differ_in_how_they_learn_share_what_is_frozen(tmp_path: Path) -> None:
    first = order(tmp_path, spec(backbone={"trainable": "last_stage"}))
    run(first)
    other = {"training": {"epochs": 1, "batch_size": 5, "learning_rate": 0.01, "label_smoothing": 0.1}}
    run(order(tmp_path, spec(backbone={"trainable": "last_stage", "dropout": 0.7}, **other), scratch="other"))
    assert cached_files(tmp_path) == ["features", "pixels"]
    run(order(tmp_path, spec(backbone={"trainable": "head"}), scratch="head"))
    assert cached_files(tmp_path) == ["features", "features", "pixels"]


def test_without_room_each_epoch_runs_the_frozen_part_and_says_so(tmp_path: Path) -> None:
    job = spec(backbone={"trainable": "last_stage"})
    ours = run(order(tmp_path, job, scratch="cached"))
    theirs = run(without_room(order(tmp_path, job, scratch="uncached")))

    same_course(ours, theirs)
    told = "The cache has no room for what the frozen part makes of the images: each epoch computes it."
    assert ("log", told) in theirs[1].events
    assert ("log", told) not in ours[1].events


@pytest.mark.parametrize("room_at_first", [True, False])
def test_a_trial_is_resumed_whether_there_is_room_or_not(tmp_path: Path, room_at_first: bool) -> None:
    job = spec(backbone={"trainable": "last_stage"}, training={"epochs": 5, "ema_decay": 0.9})
    whole = run(order(tmp_path, job))
    interrupted = order(tmp_path, job, scratch="interrupted")
    with pytest.raises(Stopped):
        run_trial(interrupted if room_at_first else without_room(interrupted), RecordingSink(stop_after=3))
    resumed = run(without_room(interrupted) if room_at_first else interrupted)

    assert ("log", "Resumed after epoch 3.") in resumed[1].events
    same_course(resumed, whole)


def test_training_the_last_stage_leaves_what_is_before_it_alone(tmp_path: Path) -> None:
    made = order(tmp_path, spec(backbone={"trainable": "last_stage"}))
    run(made)
    head = order(tmp_path, spec(backbone={"trainable": "head"}), scratch="head")
    run(head)
    longer, shorter = load_file(made.scratch / "model.safetensors"), load_file(head.scratch / "model.safetensors")
    changed = {name.partition(".")[0] for name, value in longer.items() if not torch.equal(value, shorter[name])}
    assert changed == {"block4", "head"}
