"""Whole trials of every estimator on a small table, for classes and for values."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import Stopped
from service.specs.tables import ColumnSchema
from tests.worker.estimators.tables import mixed_table
from tests.worker.training.orders import RecordingSink, run, scored, without_seconds
from tests.worker.training.table_orders import CLASSES, served, table_order, table_spec, write_samples
from worker.data.table import Table
from worker.training.order import TrialOrder, TrialOutcome
from worker.training.trial import run_trial

MLP = {"kind": "mlp", "hidden_sizes": [16], "dropout": 0.1}
TREES = {"kind": "gradient_boosting", "max_depth": 3}
DART = TREES | {"booster": "dart", "rate_drop": 0.3}
FOREST = {"kind": "random_forest", "trees": 30}
ESTIMATORS: dict[str, dict[str, Any]] = {
    "mlp": {"estimator": MLP, "training": {"epochs": 12, "learning_rate": 0.01}},
    "linear": {"estimator": {"kind": "linear"}},
    "gradient_boosting": {"estimator": TREES, "training": {"epochs": 25, "learning_rate": 0.2}},
    "dart": {"estimator": DART, "training": {"epochs": 15, "learning_rate": 0.3}},
    "random_forest": {"estimator": FOREST},
}
RESUMED = ("mlp", "gradient_boosting", "dart")


def ordered(folder: Path, name: str, classes: int, **more: Any) -> TrialOrder:
    return table_order(folder, classes=classes, **{**ESTIMATORS[name], **more})


@pytest.fixture(scope="module", params=[(name, classes) for name in ESTIMATORS for classes in (0, 2, 3)], ids=str)
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrialOrder, TrialOutcome, RecordingSink]:
    name, classes = request.param
    made = ordered(tmp_path_factory.mktemp("table"), name, classes)
    return made, *run(made)


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("linear", "worker.training.estimator_trial.fit_regressor"),
        ("random_forest", "worker.training.boosting_course.fit_boosted"),
    ],
)
def test_what_is_fitted_in_one_call_is_not_silent(
    name: str, fit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit that takes until somebody has heard of it."""
    heard, waited = threading.Event(), []
    real = resolve_name(fit)

    class Listening(RecordingSink):
        def progress(self, epoch: int, fraction: float) -> None:
            heard.set()
            super().progress(epoch, fraction)

    def slow(*given: Any, **named: Any) -> Any:
        heard.clear()
        waited.append(heard.wait(20.0))
        return real(*given, **named)

    monkeypatch.setattr("worker.training.reporting._SECONDS_SILENT", 0.01)
    monkeypatch.setattr(fit, slow)
    run_trial(ordered(tmp_path, name, 0), Listening())
    assert waited == [True]


def test_what_is_served_has_the_scores_of_the_outcome(
    finished: tuple[TrialOrder, TrialOutcome, RecordingSink],
) -> None:
    """Computed here from the files alone, on raw rows."""
    order, outcome, _ = finished
    model, (table, score) = served(order), mixed_table(300)
    rows = json.loads((order.scratch / "split.json").read_text())["test"]
    outputs = model.outputs(model.encode(table.take(rows)))
    if outcome.classes:
        names = CLASSES[len(outcome.classes)]
        truth = [names[place] for place in (score.argsort().argsort() * len(names) // 300)[rows]]
        said = [outcome.classes[index] for index in outputs.argmax(1)]
        probabilities = model.probabilities(outputs)
        right = probabilities[np.arange(len(rows)), [outcome.classes.index(label) for label in truth]]
        assert np.mean(np.array(said) == truth) == scored(outcome, "test")
        assert -np.log(right).mean() == pytest.approx(scored(outcome, "test", "log_loss"), rel=1e-5)
        assert scored(outcome, "test") > scored(outcome, "baseline") + 0.1
    else:
        errors = outputs[:, 0] - score[rows]
        assert np.sqrt((errors**2).mean()) == pytest.approx(scored(outcome, "test", "rmse"), rel=1e-5)
        assert np.abs(errors).mean() == pytest.approx(scored(outcome, "test", "mae"), rel=1e-5)
        assert scored(outcome, "test", "rmse") < 0.8 * scored(outcome, "baseline", "rmse")
        assert outcome.classes == []
        assert "temperature" not in outcome.metrics


def test_every_split_is_dealt_once_and_the_best_epoch_is_kept(
    finished: tuple[TrialOrder, TrialOutcome, RecordingSink],
) -> None:
    order, outcome, sink = finished
    dealt = json.loads((order.scratch / "split.json").read_text())
    assert sorted(row for rows in dealt.values() for row in rows) == list(range(300))
    losses = [record.validation_loss for record in sink.epochs]
    assert outcome.best_epoch == losses.index(min(losses)) + 1
    assert scored(outcome, "validation", "loss") == pytest.approx(min(losses), rel=1e-4)
    assert [record.epoch for record in sink.epochs] == list(range(1, len(losses) + 1))
    assert sink.fractions[-1] == len(losses) / order.spec.training.epochs
    for record in sink.epochs:
        is_value = order.spec.problem == "tabular_regression"
        assert (record.validation_accuracy is None, record.validation_rmse is not None) == (is_value, is_value)


def test_documents_and_pictures_are_those_of_the_problem(
    finished: tuple[TrialOrder, TrialOutcome, RecordingSink],
) -> None:
    order, outcome, _ = finished
    names = {file.name for file in outcome.files}
    of_classes, of_values = {"confusion_matrix", "calibration"}, {"predicted_against_actual", "residuals"}
    there, absent = (of_classes, of_values) if outcome.classes else (of_values, of_classes)
    assert {f"{stem}.{kind}" for stem in there for kind in ("json", "png", "svg")} <= names
    assert not {f"{stem}.{kind}" for stem in absent for kind in ("json", "png", "svg")} & names
    assert {"config.json", "background.parquet", "split.json", "curves.json", "card.md"} <= names
    for file in outcome.files:
        assert file.path.stat().st_size > 0
        if file.name.endswith(".png"):
            with Image.open(file.path) as picture:
                assert picture.width > 400
    card = (order.scratch / "card.md").read_text()
    assert "rows" in card
    assert "5 columns" in card
    json.dumps(outcome.metrics, allow_nan=False)


@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize("classes", [0, 3])
def test_a_resumed_trial_ends_as_one_that_was_never_stopped(name: str, classes: int, tmp_path: Path) -> None:
    whole, whole_sink = run(ordered(tmp_path, name, classes, scratch="whole"))
    broken = ordered(tmp_path, name, classes, scratch="broken")
    for after in (3, 6):
        with pytest.raises(Stopped):
            run_trial(broken, RecordingSink(stop_after=after))
    outcome, sink = run(broken)

    assert outcome.metrics == whole.metrics
    assert without_seconds(sink) == without_seconds(whole_sink)
    assert any("Resumed after" in message for _, message in sink.events)
    weights = "model.safetensors" if name == "mlp" else "model.ubj"
    assert (broken.scratch / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
    assert run(broken)[0].metrics == whole.metrics  # from the last checkpoint of a finished one


@pytest.mark.parametrize("name", ESTIMATORS)
def test_trials_are_reproducible(name: str, tmp_path: Path) -> None:
    first, second = (run(ordered(tmp_path, name, 2, scratch=scratch))[0] for scratch in ("a", "b"))
    assert first.metrics == second.metrics
    other, _ = run(ordered(tmp_path, name, 2, scratch="c", seed=1))
    assert other.metrics != first.metrics


def test_patience_counts_rounds_and_the_best_rounds_trees_are_kept(tmp_path: Path) -> None:
    training = {"epochs": 500, "learning_rate": 0.5}
    order = table_order(
        tmp_path, {**TREES, "max_depth": 6}, training=training, early_stopping={"patience": 4, "min_delta": 0.0}
    )
    outcome, sink = run(order)
    assert outcome.stopped_by == "early_stopping"
    assert len(sink.epochs) == outcome.best_epoch + 4 < 500
    predictor: Any = served(order).predictor
    assert predictor.booster.num_boosted_rounds() == outcome.best_epoch


def test_time_ends_boosting(tmp_path: Path) -> None:
    training = {"epochs": 1000, "learning_rate": 0.001}
    order = table_order(tmp_path, DART, training=training, early_stopping=None, limits={"wall_seconds": 1})
    outcome, sink = run(order)
    assert outcome.stopped_by == "limit"
    assert 1 <= len(sink.epochs) < 1000
    assert [kind for kind, _ in sink.events].count("warning") == 1


@pytest.mark.parametrize("name", ["mlp", "linear", "gradient_boosting"])
def test_units_of_the_target_do_not_matter(name: str, tmp_path: Path) -> None:
    """Shares of variance stay, errors scale along."""
    training = {"learning_rate": 0.05, "epochs": 10}
    more: dict[str, Any] = {"early_stopping": None} | ({} if name == "linear" else {"training": training})
    plain, _ = run(ordered(tmp_path / "plain", name, 0, **more))
    grown, sink = run(ordered(tmp_path / "grown", name, 0, scale=1e4, shift=1e6, **more))
    assert scored(grown, "test", "r2") == pytest.approx(scored(plain, "test", "r2"), abs=0.02)
    assert scored(grown, "test", "rmse") == pytest.approx(1e4 * scored(plain, "test", "rmse"), rel=0.05)
    assert sink.epochs[-1].train_loss < scored(grown, "baseline", "loss")


def test_balanced_classes_move_what_is_rare(tmp_path: Path) -> None:
    """Without a signal a model answers with the class shares; balanced, with equal ones."""
    generator = np.random.default_rng(0)
    table = Table((ColumnSchema(name="x", kind="numeric"),), {"x": generator.normal(size=400)})
    labels = ["rare" if row % 5 == 0 else "usual" for row in range(400)]
    shares = {}
    for weights in ("none", "balanced"):
        order = table_order(tmp_path, {"kind": "linear"})
        manifest = write_samples(order.archive, table, labels=labels)
        spec = table_spec("tabular_classification", {"kind": "linear", "l2": 1e6}, training={"class_weights": weights})
        run(replace(order, manifest=manifest, spec=spec))
        model = served(order)
        outputs = model.outputs(model.encode(table))
        shares[weights] = float((1 / (1 + np.exp(outputs[:, 1] - outputs[:, 0]))).mean())
    assert shares == {"none": pytest.approx(0.2, abs=0.01), "balanced": pytest.approx(0.5, abs=0.01)}


def test_a_linear_model_names_the_cpu_that_computed_it_on_a_worker_with_gpus(tmp_path: Path) -> None:
    outcome, _ = run(replace(table_order(tmp_path, {"kind": "linear"}), device="cuda:0", threads=2))
    assert outcome.device == "CPU, 2 threads"
    assert outcome.peak_memory_bytes is not None
