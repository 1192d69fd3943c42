"""What is frozen does not move: weights, statistics, also under decay and momentum."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from service.specs.backbones import CATALOGUE
from service.specs.base import rule_in_words
from service.specs.jobs import BackboneSpec
from tests.worker.backbones.networks import IMAGES
from tests.worker.training.orders import order, spec
from tests.worker.training.toys import reporter
from worker.backbones.building import build_network
from worker.training.image_subject import ImageSubject
from worker.training.learner import Learner
from worker.training.setting_up import set_up

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def changes(folder: Path, epochs: list[int], **job: Any) -> list[set[str]]:
    """The state dict's entries that each of the epochs changes."""
    setting = set_up(order(folder, spec(**job)), reporter())
    assert isinstance(setting.subject, ImageSubject)
    learner, state = Learner(setting, reporter()), setting.subject.trained.network.state_dict()
    found = []
    for epoch in epochs:
        before = {name: value.clone() for name, value in state.items()}
        learner.train_epoch(epoch)
        found.append({name for name, value in state.items() if not torch.equal(value, before[name])})
    return found


def test_statistics_of_frozen_blocks_stay_and_those_of_the_trained_move(tmp_path: Path) -> None:
    [changed] = changes(tmp_path, [1], backbone={"trainable": "last_stage"}, training={"weight_decay": 0.1})

    assert {name.split(".")[0] for name in changed} == {"block4", "head"}
    assert {f"block4.1.{name}" for name in STATISTICS} <= changed


def test_frozen_batch_norm_keeps_everything_it_came_with(tmp_path: Path) -> None:
    [changed] = changes(tmp_path, [1], backbone={"batch_norm": "frozen"}, training={"weight_decay": 0.1})
    assert changed == {*(f"block{number}.0.weight" for number in (1, 2, 3, 4)), "head.weight", "head.bias"}


def test_gradual_moves_nothing_but_the_head_at_first_and_everything_then(tmp_path: Path) -> None:
    training = {"epochs": 5, "weight_decay": 0.1, "optimizer": "sgd"}
    first, second = changes(tmp_path, [1, 2], backbone={"trainable": "gradual"}, training=training)
    names = set(build_network("small_cnn", classes=3, dropout=0.0, image_size=32).state_dict())

    assert first == {"head.weight", "head.bias"}
    assert second == names


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_the_catalogue_knows_who_has_batch_norm(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name, classes=2, dropout=0.0, image_size=CATALOGUE[name].input_size)
    has = any(key.endswith("running_mean") for key in network.state_dict())

    assert CATALOGUE[name].has_batch_norm == has


@pytest.mark.parametrize(
    "asked", [{"name": "resnet18", "stochastic_depth": 0.1}, {"name": "vgg11", "batch_norm": "frozen"}]
)
def test_what_a_backbone_cannot_do_is_refused_by_name(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"{asked['name']} has no") as refused:
        BackboneSpec.model_validate(asked)
    assert rule_in_words(refused.value.errors()[0]).startswith(f"{list(asked)[1]}: ")
    BackboneSpec.model_validate(asked | {"name": "efficientnet_b0"})
