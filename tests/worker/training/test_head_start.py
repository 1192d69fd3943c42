"""A later trial of the head alone begins where an earlier one began, without building the network."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.worker.training.orders import UNBEATABLE, order, run, spec, without_seconds
from worker.training import image_setting
from worker.training.order import TrialOrder

HEAD = {"trainable": "head", "dropout": 0.3}


def weights_of(made: TrialOrder) -> bytes:
    return (made.scratch / "model.safetensors").read_bytes()


class Builds:
    """Counts the networks that are built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        build = image_setting.build_network

        def counted(*arguments: object, **more: object) -> object:
            self.count += 1
            return build(*arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(image_setting, "build_network", counted)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(monkeypatch)


def test_the_second_trial_is_the_first_again(tmp_path: Path, builds: Builds) -> None:
    job = spec(backbone=HEAD, training={"epochs": 4, "ema_decay": 0.8, "layer_decay": 0.9})
    first = order(tmp_path, job, scratch="first", draws=True)
    second = order(tmp_path, job, scratch="second", draws=True)
    whole, sink = run(first)
    again, sink_again = run(second)

    assert without_seconds(sink_again) == without_seconds(sink)
    assert again.metrics == whole.metrics
    assert weights_of(second) == weights_of(first)
    assert [file.name for file in again.files] == [file.name for file in whole.files]
    assert builds.count == 2, "each writes a whole network"


def test_trials_that_differ_in_how_they_learn_build_the_network_once(tmp_path: Path, builds: Builds) -> None:
    """Those that write nothing, at least; and what they learn does not depend on who came first."""
    jobs = [spec(backbone=HEAD, training={"epochs": 2, "learning_rate": rate}) for rate in (0.001, 0.01)]
    alone = run(order(tmp_path, jobs[1], scratch="alone"))
    after = [run(beaten(order(tmp_path, job, scratch=f"after-{place}"))) for place, job in enumerate(jobs)]
    assert without_seconds(after[1][1]) == without_seconds(alone[1])
    assert builds.count == 1


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"training": {"image_size": 64}}, {"backbone": {**HEAD, "name": "simple_nn"}}],
)
def test_another_network_has_another_start(tmp_path: Path, builds: Builds, other: dict[str, object]) -> None:
    run(beaten(order(tmp_path, spec(backbone=HEAD, training={"epochs": 1}), scratch="first")))
    fields = {"backbone": HEAD, "training": {"epochs": 1}, **other}
    run(beaten(order(tmp_path, spec(**fields), scratch="other")))
    assert builds.count == 2


def test_features_that_were_evicted_are_made_again(tmp_path: Path, builds: Builds) -> None:
    job = spec(backbone=HEAD, training={"epochs": 1})
    first, second = order(tmp_path, job, scratch="first"), order(tmp_path, job, scratch="second")
    run(beaten(first))
    [features] = (tmp_path / "cache").glob("*/features-*")
    features.unlink()
    run(beaten(second))
    assert builds.count == 2
    assert features.is_file()


def test_a_resumed_trial_writes_the_head_that_it_has_learned(tmp_path: Path) -> None:
    job = spec(backbone=HEAD, training={"epochs": 3})
    made = order(tmp_path, job)
    run(made)
    written = load_file(made.scratch / "model.safetensors")
    run(made)
    again = load_file(made.scratch / "model.safetensors")
    assert all(value.equal(again[name]) for name, value in written.items())


def beaten(made: TrialOrder) -> TrialOrder:
    """Of a search whose best cannot be reached."""
    return replace(made, to_beat=UNBEATABLE)
