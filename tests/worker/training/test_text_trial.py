"""Trials on texts: what is learned, frozen, cached, resumed, warned of and written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from service.errors import Stopped
from tests.worker.training.orders import RecordingSink, run, scored, without_seconds
from tests.worker.training.text_orders import planted, text_order, text_spec
from tests.worker.training.toys import reporter
from worker.backbones.trained_text import TrainedText, load_text
from worker.training.order import TrialOutcome
from worker.training.setting_up import set_up
from worker.training.text_subject import TextSubject

CPU = torch.device("cpu")
PARTS: list[dict[str, Any]] = [{"trainable": name} for name in ("head", "last_stage", "all", "gradual")]


def loaded(outcome: TrialOutcome) -> TrainedText:
    files = {file.name: file.path.read_bytes() for file in outcome.files}
    return load_text(json.loads(files["config.json"]), files, CPU)


def subject_of(folder: Path, **changes: Any) -> TextSubject:
    made = text_order(folder, text_spec(**changes))
    subject = set_up(made, reporter()).subject
    assert isinstance(subject, TextSubject)
    return subject


def test_a_planted_word_is_learned_and_the_model_answers_by_it(tmp_path: Path) -> None:
    rates = {"learning_rate": 0.01, "backbone_learning_rate": 0.002}
    outcome, sink = run(text_order(tmp_path, text_spec(training={"epochs": 8} | rates), rows=planted(120)))
    trained = loaded(outcome)
    said = ["the game is large", "the music is large", "game", "a music"]
    with torch.inference_mode():
        answers = trained.probabilities(trained.logits(trained.encode(said)))

    assert scored(outcome, "test") == 1.0
    assert [trained.classes[at] for at in answers.argmax(dim=1).tolist()] == ["games", "sound"] * 2
    assert (trained.text_column, trained.max_tokens) == ("text", 40)
    assert outcome.classes == ["games", "sound"]
    assert all(record.validation_accuracy is not None for record in sink.epochs)


def test_the_files_of_a_model(tmp_path: Path) -> None:
    outcome, _ = run(text_order(tmp_path, text_spec()))
    files = {file.name: file.path for file in outcome.files}
    split = json.loads(files["split.json"].read_text("utf-8"))
    rows = planted()

    assert {"config.json", "model.safetensors", "tokenizer.json", "card.md", "curves.json"} <= files.keys()
    assert sorted(row for part in split.values() for row in part) == list(range(len(rows)))
    config = json.loads(files["config.json"].read_text("utf-8"))
    assert config["training"]["batch_size"] == 8
    assert config["problem"] == "text_classification"
    card = files["card.md"].read_text("utf-8")
    assert "all-MiniLM-L6-v2 (transformers, Apache-2.0), pretrained; trained part: all" in card
    assert "the first 40 tokens; 0 of 60 texts are longer" in card


@pytest.mark.parametrize("backbone", PARTS, ids=lambda part: part["trainable"])
def test_what_is_trained_and_what_is_not(tmp_path: Path, backbone: dict[str, Any]) -> None:
    subject = subject_of(tmp_path, backbone=backbone)
    before = {name: value.clone() for name, value in subject.trained.network.state_dict().items()}
    after = loaded(run(text_order(tmp_path, text_spec(backbone=backbone)))[0]).network.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}

    head = {"head.weight", "head.bias"}
    stage = {name for name in before if name.startswith("body.encoder.layer.2.")}
    everything = {name for name, _ in subject.trained.network.named_parameters()}
    expected = {"head": head, "last_stage": head | stage, "all": everything, "gradual": everything}
    different = moved ^ expected[backbone["trainable"]]
    assert {name for name in different if "attention.self.key.bias" not in name} == set(), "those cancel in the softmax"


def test_a_frozen_network_is_run_once_over_the_texts(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, backbone={"trainable": "head"})
    assert subject.features is not None
    assert subject.learned is subject.head
    assert subject.features.shape == (60, 96)
    again = subject_of(tmp_path, backbone={"trainable": "head"})
    assert again.features is not None
    assert torch.equal(again.features, subject.features)
    files = [path.name.split("-")[0] for path in (tmp_path / "cache").glob("*/*")]
    assert sorted(files) == ["features", "tokens"]

    changed = subject_of(tmp_path, backbone={"trainable": "head"}, augmentation={"policy": "light"})
    assert changed.features is None, "changed texts have features of their own"
    assert changed.trained_parts(1) == [changed.head]


def test_head_on_features_is_head_on_texts(tmp_path: Path) -> None:
    """Swaps that are never drawn are random all the same: the slow way, in batches of everything, for equal steps."""
    changes: dict[str, Any] = {
        "backbone": {"trainable": "head", "dropout": 0.0},
        "training": {"batch_size": 64, "epochs": 5},
    }
    fast, fast_epochs = run(text_order(tmp_path, text_spec(**changes)))
    never = text_spec(**changes, augmentation={"random_swap": 1e-12})
    slow, slow_epochs = run(text_order(tmp_path, never, scratch="slow"))

    assert scored(slow, "test", "loss") == pytest.approx(scored(fast, "test", "loss"), abs=1e-4)
    for one, other in zip(fast_epochs.epochs, slow_epochs.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=1e-4)
    assert fast_epochs.epochs[-1].train_loss < fast_epochs.epochs[0].train_loss - 0.05


@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": {"policy": "standard"}, "training": {"epochs": 4, "ema_decay": 0.9, "layer_decay": 0.8}},
        {"backbone": {"trainable": "head"}, "training": {"epochs": 4}},
        {"backbone": {"trainable": "gradual"}, "training": {"epochs": 4}},
    ],
)
def test_a_resumed_trial_ends_as_an_uninterrupted_one(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole, all_epochs = run(text_order(tmp_path, text_spec(**changes)))
    cut = text_order(tmp_path, text_spec(**changes), scratch="cut")
    with pytest.raises(Stopped):
        run(cut, stop_after=2)
    resumed, sink = run(cut)

    assert without_seconds(sink) == without_seconds(all_epochs)
    assert resumed.metrics == whole.metrics
    weights = [{file.name: file.path for file in made.files}["model.safetensors"] for made in (whole, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_training_batches_are_changed_and_evaluation_is_not(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, augmentation={"random_deletion": 0.5})
    indices = list(range(20))
    orders = subject.orders(indices, batch_size=20, seed=0, epoch=1)
    first, again = (next(subject.training_batches(8).make(orders)) for _ in range(2))
    plain = subject.batch(orders[0].indices)

    assert torch.equal(first.inputs[0], again.inputs[0]), "the order's seed decides"
    assert torch.equal(first.targets, plain.targets)
    assert first.inputs[1].sum() < plain.inputs[1].sum(), "words are gone"
    other = subject.orders(indices, batch_size=20, seed=0, epoch=2)
    assert other[0].seed != orders[0].seed
    whole = torch.cat([batch.targets for batch in subject.evaluation_batches(indices)])
    assert torch.equal(whole, subject.targets[indices])


def test_truncation_is_told(tmp_path: Path) -> None:
    rows = planted()
    rows[0]["text"] += " the" * 50
    sink = RecordingSink()
    made = text_order(tmp_path, text_spec(training={"max_tokens": 12, "epochs": 1}), rows=rows)
    _, sink = run(made)
    [told] = [message for kind, message in sink.events if kind == "warning"]
    assert "longer than 12 tokens; the rest of them is not read" in told


def test_groups_stay_together(tmp_path: Path) -> None:
    split = {"strategy": "group", "group_column": "group", "validation": 0.3, "test": 0.3}
    outcome, _ = run(text_order(tmp_path, text_spec(split=split, training={"epochs": 1})))
    [path] = [file.path for file in outcome.files if file.name == "split.json"]
    rows = planted()
    groups = [{rows[row]["group"] for row in part} for part in json.loads(path.read_text("utf-8")).values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups)) == 9


def test_learning_rate_and_batch_size_may_be_left_to_the_trial(tmp_path: Path) -> None:
    training = {"epochs": 2, "learning_rate": "auto", "batch_size": "auto"}
    outcome, _ = run(text_order(tmp_path, text_spec(training=training)))
    config = json.loads({file.name: file.path for file in outcome.files}["config.json"].read_text("utf-8"))
    assert 0 < config["training"]["learning_rate"] < 10
    assert config["training"]["batch_size"] >= 2
