"""Whole trials of a small network on small pictures."""

import json
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from service.errors import Diverged, Stopped, TargetInvalid, UnknownBackbone
from service.specs.images import decode_image
from tests.worker.training.orders import (
    CLASSES,
    EVERYTHING,
    RecordingSink,
    order,
    run,
    scored,
    spec,
    tinted,
    tinted_archive,
)
from worker.backbones.sources import WeightSources
from worker.backbones.trained import load_trained
from worker.training.order import TrialOrder, TrialOutcome
from worker.training.trial import run_trial


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialOrder, TrialOutcome, RecordingSink]:
    made = order(tmp_path_factory.mktemp("trial"), spec(training={"epochs": 4}), draws=True)
    return made, *run(made)


def test_it_learns(finished: tuple[TrialOrder, TrialOutcome, RecordingSink]) -> None:
    _, outcome, sink = finished
    assert scored(outcome, "test") >= 0.9
    assert scored(outcome, "baseline") == pytest.approx(1 / 3)
    assert sink.epochs[-1].train_loss < sink.epochs[0].train_loss
    assert [record.epoch for record in sink.epochs] == [1, 2, 3, 4]
    assert outcome.stopped_by == "epochs"
    assert outcome.classes == list(CLASSES)
    assert sink.fractions == sorted(sink.fractions)
    assert sink.fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("split", "code"),
    [
        ({"strategy": "time", "time_column": "n"}, "not-in-train"),
        ({"strategy": "group", "group_column": "n"}, "one-group"),
    ],
)
def test_a_class_that_train_would_lack_ends_the_trial_with_its_name(
    tmp_path: Path, split: dict[str, Any], code: str
) -> None:
    """Three groups, or three times, one for each class."""
    made = order(tmp_path, spec(split=split))
    samples = [sample.model_copy(update={"values": [str(CLASSES.index(sample.label))]})
               for sample in made.manifest.samples]  # fmt: skip
    manifest = made.manifest.model_copy(update={"samples": samples, "columns": ["n"]})
    with pytest.raises(TargetInvalid) as caught:
        run_trial(replace(made, manifest=manifest), RecordingSink())
    problem = caught.value.to_problem()
    faults = [(fault["loc"], fault["code"]) for fault in problem["errors"] if fault["loc"][0] == "classes"]  # type: ignore[attr-defined]
    lacking = CLASSES[1:] if code == "not-in-train" else CLASSES  # blue is the oldest
    assert problem["type"] == "/problems/target-invalid"
    assert faults == [(["classes", label], code) for label in lacking]


def test_what_is_published_is_the_best_epoch(finished: tuple[TrialOrder, TrialOutcome, RecordingSink]) -> None:
    _, outcome, sink = finished
    losses = [record.validation_loss for record in sink.epochs]
    assert outcome.best_epoch == losses.index(min(losses)) + 1
    assert scored(outcome, "validation", "loss") == pytest.approx(min(losses), rel=1e-5)


def test_the_files_serve_with_the_scores_of_the_outcome(
    finished: tuple[TrialOrder, TrialOutcome, RecordingSink],
) -> None:
    _, outcome, _ = finished
    files = {file.name: file for file in outcome.files}
    assert all(file.path.stat().st_size > 0 for file in outcome.files)
    config = json.loads(files["config.json"].path.read_text())
    served = load_trained(config, files["model.safetensors"].path, torch.device("cpu"))
    paths = json.loads(files["split.json"].path.read_text())["test"]
    images = [decode_image(tinted(label, int(name[:-4]))) for label, name in (path.split("/") for path in paths)]
    truth = [path.split("/")[0] for path in paths]
    with torch.inference_mode():
        said = [served.classes[index] for index in served.logits(served.preprocess(images)).argmax(1)]

    assert sum(a == b for a, b in zip(said, truth, strict=True)) / len(truth) == scored(outcome, "test")
    matrix = json.loads(files["confusion_matrix.json"].path.read_text())
    assert sum(map(sum, matrix["matrix"])) == len(paths)


def test_pictures_and_documents_are_readable(finished: tuple[TrialOrder, TrialOutcome, RecordingSink]) -> None:
    _, outcome, sink = finished
    files = {file.name: file for file in outcome.files}
    assert {file.media_type for file in outcome.files if file.name.endswith(".svg")} == {"image/svg+xml"}
    for name in ("learning_curves.png", "confusion_matrix.png", "calibration.png"):
        with Image.open(files[name].path) as picture:
            assert picture.width > 500
    assert files["learning_curves.svg"].path.read_text().lstrip().startswith("<?xml")
    curves = json.loads(files["curves.json"].path.read_text())
    assert [row["validation_loss"] for row in curves["epochs"]] == [record.validation_loss for record in sink.epochs]
    card = files["card.md"].path.read_text()
    assert "small_cnn" in card
    assert f"| accuracy | {scored(outcome, 'train'):.3f} |" in card
    json.dumps(outcome.metrics, allow_nan=False)


def test_trials_are_reproducible_and_follow_the_seed(tmp_path: Path) -> None:
    first, _ = run(order(tmp_path, spec(**EVERYTHING, seed=1), scratch="a"))
    same, _ = run(order(tmp_path, spec(**EVERYTHING, seed=1), scratch="b"))
    other, _ = run(order(tmp_path, spec(**EVERYTHING, seed=2), scratch="c"))
    assert first.metrics == same.metrics
    assert first.metrics != other.metrics


def test_divergence_is_said(tmp_path: Path) -> None:
    training = {
        "optimizer": "sgd",
        "learning_rate": 100.0,
        "gradient_clip_norm": None,
        "schedule": "constant",
        "epochs": 20,
    }
    with pytest.raises(Diverged):
        run(order(tmp_path, spec(training=training, backbone={"name": "simple_nn"})))


def test_patience_ends_a_trial(tmp_path: Path) -> None:
    job = spec(training={"epochs": 30, "learning_rate": 1e-12}, early_stopping={"patience": 2, "min_delta": 1.0})
    outcome, sink = run(order(tmp_path, job))
    assert outcome.stopped_by == "early_stopping"
    assert len(sink.epochs) == 3


def test_no_epoch_is_begun_that_time_does_not_allow(tmp_path: Path) -> None:
    made = order(tmp_path, spec(training={"epochs": 1000}, limits={"wall_seconds": 1}, early_stopping=None))
    outcome, sink = run(made)
    assert outcome.stopped_by == "limit"
    assert 1 <= len(sink.epochs) < 1000
    assert [kind for kind, _ in sink.events].count("warning") == 1


def test_training_the_head_leaves_the_backbone_alone(tmp_path: Path) -> None:
    made = order(tmp_path, spec(backbone={"trainable": "head"}, augmentation={"horizontal_flip": 0.5}))
    run(made)
    short = order(tmp_path, spec(backbone={"trainable": "head"}, training={"epochs": 1}), scratch="short")
    run(short)
    longer, shorter = load_file(made.scratch / "model.safetensors"), load_file(short.scratch / "model.safetensors")
    changed = {name for name, value in longer.items() if not torch.equal(value, shorter[name])}
    assert changed == {"head.weight", "head.bias"}


def test_gradual_starts_with_the_head_and_says_so(tmp_path: Path) -> None:
    made = order(tmp_path, spec(backbone={"trainable": "gradual"}, training={"epochs": 5}))
    sink = RecordingSink(stop_after=1)
    with pytest.raises(Stopped):
        run_trial(made, sink)
    frozen = load_file(made.scratch / "checkpoint" / "epoch-00001.safetensors")
    _, resumed = run(made)
    everything = load_file(made.scratch / "checkpoint" / "epoch-00005.safetensors")
    moved = {name for name in frozen if name.startswith("learned.") and not torch.equal(frozen[name], everything[name])}

    assert {name for name in frozen if name.startswith("optimizer.")} != {
        n for n in everything if n.startswith("optimizer.")
    }
    assert "learned.block1.0.weight" in moved
    assert ("log", "The head alone is trained until epoch 1, then the whole network.") in sink.events
    assert ("log", "From epoch 2 on the whole network is trained.") in resumed.events


def test_smoothing_and_weights_do_not_reach_the_reported_losses(tmp_path: Path) -> None:
    _, plain_sink = run(order(tmp_path, spec(training={"learning_rate": 1e-12, "epochs": 1}), scratch="plain"))
    smooth = {"learning_rate": 1e-12, "epochs": 1, "label_smoothing": 0.5, "class_weights": "balanced"}
    _, smooth_sink = run(order(tmp_path, spec(training=smooth), scratch="smooth"))
    assert smooth_sink.epochs[0].validation_loss == pytest.approx(plain_sink.epochs[0].validation_loss, rel=1e-6)
    assert smooth_sink.epochs[0].train_loss == pytest.approx(plain_sink.epochs[0].train_loss, rel=1e-6)


def test_missing_weights_stop_a_trial_before_it_begins(tmp_path: Path) -> None:
    job = spec(backbone={"name": "resnet18", "weights": "pretrained"})
    with pytest.raises(UnknownBackbone):
        run(order(tmp_path, job, sources=WeightSources(directory=tmp_path)))


def test_stop_is_heard_while_images_are_decoded(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run_trial(order(tmp_path, spec()), RecordingSink(stop_after=0))
    assert not list(tmp_path.glob("cache/decoded/*"))


def test_orders_travel_between_processes(tmp_path: Path) -> None:
    made = order(tmp_path, spec())
    assert ForkingPickler.loads(ForkingPickler.dumps(made)) == made


def test_the_test_split_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.training import setting

    looked: list[tuple[int, ...]] = []
    original = setting.Setting.outputs

    def watched(self: setting.Setting, network: Any, indices: list[int], tick: Any) -> torch.Tensor:
        looked.append(tuple(indices))
        return original(self, network, indices, tick)

    monkeypatch.setattr(setting.Setting, "outputs", watched)
    made = order(tmp_path, spec(), draws=True)
    run(made)
    manifest = tinted_archive(tmp_path / "again.zip")
    names = {name: index for index, name in enumerate(sample.path for sample in manifest.samples)}
    test = tuple(names[path] for path in json.loads((made.scratch / "split.json").read_text())["test"])
    assert looked.count(test) == 1
    assert looked[-1] == test
