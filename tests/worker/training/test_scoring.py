"""What a trial says of its test split and of its probabilities."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.specs.datasets import Manifest
from tests.worker.training.orders import order, run, scored, spec


def test_probabilities_are_calibrated_on_validation(tmp_path: Path) -> None:
    """Many epochs on few images make a network too sure; the test split shows it before and after."""
    job = spec(training={"epochs": 6, "learning_rate": 0.01}, split={"validation": 0.3, "test": 0.3},
               early_stopping=None)  # fmt: skip
    made = order(tmp_path, job, per_class=60, strength=6, draws=True)
    outcome, sink = run(made)
    test: dict[str, Any] = outcome.metrics["test"]  # type: ignore[assignment]
    temperature = outcome.metrics["temperature"]
    config = json.loads((made.scratch / "config.json").read_text())
    drawn = json.loads((made.scratch / "calibration.json").read_text())

    assert temperature != 1.0
    assert config["temperature"] == drawn["temperature"] == temperature
    assert any(kind == "log" and f"temperature {temperature:.3f}" in message for kind, message in sink.events)
    assert test["uncalibrated"]["log_loss"] == pytest.approx(test["loss"])
    assert drawn["before"]["expected_calibration_error"] == test["uncalibrated"]["expected_calibration_error"]
    assert drawn["after"]["expected_calibration_error"] == test["expected_calibration_error"]
    assert sum(one["samples"] for one in drawn["after"]["bins"]) == test["samples"]
    assert scored(outcome, "validation", "log_loss") < scored(outcome, "validation", "loss")
    assert test["intervals"].keys() == {"loss", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss",
                                        "expected_calibration_error"}  # fmt: skip
    low, high = test["intervals"]["accuracy"]
    assert low < test["accuracy"] < high
    assert f"{low:.3f} to {high:.3f}" in (made.scratch / "card.md").read_text()


def test_few_validation_images_leave_probabilities_as_they_are(tmp_path: Path) -> None:
    outcome, sink = run(order(tmp_path, spec(training={"epochs": 2})))
    assert outcome.metrics["temperature"] == 1.0
    assert scored(outcome, "test", "log_loss") == pytest.approx(scored(outcome, "test", "loss"))
    assert any(kind == "log" and "not calibrated" in message for kind, message in sink.events)


def test_classes_that_a_split_lacks_are_told(tmp_path: Path) -> None:
    made = order(tmp_path, spec(training={"epochs": 1}, split={"strategy": "group", "group_column": "camera"}))
    samples = [
        sample.model_copy(update={"values": ["one" if sample.label == "red" else sample.sha256]})
        for sample in made.manifest.samples
    ]
    manifest = Manifest(classes=made.manifest.classes, samples=samples, columns=["camera"])
    outcome, sink = run(replace(made, manifest=manifest))
    told = [message for kind, message in sink.events if kind == "warning"]
    assert [message.split(".")[0] for message in told] == [
        f"1 of 3 classes have no sample in the {name} split" for name in ("validation", "test")
    ]
    assert outcome.metrics["test"]["roc_auc"] is None  # type: ignore[index]
