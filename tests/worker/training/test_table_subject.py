"""The `mlp` in the loop: against least squares, and by what it is made of."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.specs.tables import ColumnSchema
from tests.worker.training.orders import run
from tests.worker.training.table_orders import served, table_order, table_spec, write_samples
from tests.worker.training.toys import reporter
from worker.data.table import Table
from worker.training.order import TrialOrder
from worker.training.setting_up import set_up
from worker.training.table_source import table_data
from worker.training.table_subject import TableSubject


def numbers(folder: Path, columns: int, rows: int, **spec: Any) -> tuple[TrialOrder, Table, np.ndarray[Any, Any]]:
    """A linear target with little noise."""
    generator = np.random.default_rng(0)
    schema = tuple(ColumnSchema(name=f"x{place}", kind="numeric") for place in range(columns))
    table = Table(schema, {column.name: generator.normal(3.0, 2.0, rows) for column in schema})
    values = np.stack(list(table.values.values()), 1)
    target = 50.0 + values @ np.arange(1, columns + 1) + generator.normal(0.0, 0.1, rows)
    order = table_order(folder, {"kind": "linear"})
    manifest = write_samples(order.archive, table, values=target)
    return replace(order, manifest=manifest, spec=table_spec("tabular_regression", **spec)), table, target


def test_without_hidden_layers_it_finds_least_squares(tmp_path: Path) -> None:
    mlp = {"kind": "mlp", "hidden_sizes": [], "dropout": 0.0}
    training = {"epochs": 60, "batch_size": 16, "learning_rate": 0.05, "weight_decay": 0.0}
    order, table, target = numbers(tmp_path, 3, 200, estimator=mlp, training=training, early_stopping=None)
    run(order)
    model = served(order)
    train = json.loads((order.scratch / "split.json").read_text())["train"]
    design = np.column_stack([np.ones(200), *table.values.values()])
    exact = design @ np.linalg.lstsq(design[train], target[train], rcond=None)[0]
    assert model.outputs(model.encode(table))[:, 0] == pytest.approx(exact, abs=0.1)


def test_the_classic_network_is_one_spec(tmp_path: Path) -> None:
    mlp = {"kind": "mlp", "hidden_sizes": [128], "dropout": 0.3, "batch_norm": False}
    order, _, _ = numbers(tmp_path, 784, 40, estimator=mlp)
    subject = set_up(order, reporter()).subject
    shapes = [tuple(parameter.shape) for parameter in subject.learned.parameters()]
    assert shapes == [(128, 784), (128,), (1, 128), (1,)]


def test_layers_count_from_the_head(tmp_path: Path) -> None:
    mlp = {"kind": "mlp", "hidden_sizes": [4, 3]}
    order = table_order(tmp_path, mlp, classes=3, training={"layer_decay": 0.5, "learning_rate": 1.0})
    setting = set_up(order, reporter())
    assert isinstance(setting.subject, TableSubject)
    names = {id(parameter): name for name, parameter in setting.learned.named_parameters()}
    rates = {
        names[id(parameter)]: group["base_rate"]
        for group in setting.parameter_groups(order.spec.training)
        for parameter in group["params"]
    }
    assert len(rates) == len(names)
    expected = {"head": 1.0, "hidden.4": 0.5, "hidden.5": 0.5, "hidden.0": 0.25, "hidden.1": 0.25, "embeddings": 0.125}
    for name, rate in rates.items():
        assert rate == next(value for start, value in expected.items() if name.startswith(start)), name


def test_only_train_teaches_the_encoding(tmp_path: Path) -> None:
    """What test rows hold changes nothing of the model."""
    mlp = {"kind": "mlp", "hidden_sizes": [4]}
    order, table, target = numbers(tmp_path, 2, 60, estimator=mlp, training={"epochs": 2})
    run(order)
    test = json.loads((order.scratch / "split.json").read_text())["test"]
    weights = (order.scratch / "model.safetensors").read_bytes()
    changed = table.values["x0"].copy()
    changed[test] = 1e6
    write_samples(order.archive, Table(table.schema, {**table.values, "x0": changed}), values=target)
    (tmp_path / "again").mkdir()
    run(replace(order, scratch=tmp_path / "again"))
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights


def test_class_weights_smoothing_average_and_auto_work(tmp_path: Path) -> None:
    training = {
        "epochs": 4, "class_weights": "balanced", "label_smoothing": 0.1, "ema_decay": 0.9, "batch_size": "auto",
        "learning_rate": "auto", "optimizer": "sgd", "schedule": "one_cycle",
    }  # fmt: skip
    order = table_order(tmp_path, {"kind": "mlp", "hidden_sizes": [8]}, classes=3, training=training)
    outcome, _ = run(order)
    config = json.loads((order.scratch / "config.json").read_text())
    assert config["training"]["batch_size"] == 8
    assert 1e-7 < config["training"]["learning_rate"] <= 10
    assert {file.name for file in outcome.files} >= {"learning_rate_finder.json"}


def test_values_are_dealt_by_their_deciles(tmp_path: Path) -> None:
    """Each split has its share of the low and of the high."""
    data = table_data(table_order(tmp_path, {"kind": "linear"}))
    tenth = data.targets.argsort().argsort() // 30
    for name, share in (("validation", 0.15), ("test", 0.15)):
        counts = np.bincount(tenth[data.dealt[name]], minlength=10)  # type: ignore[index]
        assert counts.min() >= 30 * share - 1
        assert counts.max() <= 30 * share + 1
