import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.errors import ArtifactCorrupt
from service.specs.estimators import GradientBoostingSpec, LinearSpec, MlpSpec, RandomForestSpec
from tests.worker.estimators.tables import SCHEMA, mixed_table
from worker.data.table import table_of
from worker.estimators.background import center_of, choose_background
from worker.estimators.boosting import BestRound, BoostingPlan, Samples, fit_boosted
from worker.estimators.encoding import Encoding
from worker.estimators.linear import fit_classifier, fit_regressor
from worker.estimators.network import Network, build_mlp
from worker.estimators.table_files import load_table, save_table
from worker.estimators.trained_table import TrainedTable

SPECS = {
    "mlp": MlpSpec(kind="mlp", hidden_sizes=[8]),
    "linear": LinearSpec(kind="linear"),
    "gradient_boosting": GradientBoostingSpec(kind="gradient_boosting", max_depth=2),
    "dart": GradientBoostingSpec(kind="gradient_boosting", max_depth=2, booster="dart", rate_drop=0.5),
    "random_forest": RandomForestSpec(kind="random_forest", trees=5, max_depth=3),
}
CLASSES = {0: [], 2: ["no", "yes"], 3: ["high", "low", "mid"]}


def predictor_of(spec: Any, encoding: Encoding, samples: Samples, classes: int) -> Any:
    if spec.kind == "mlp":
        torch.manual_seed(0)
        scale = (0.0, 1.0) if classes else (3.5, 0.25)
        return Network(build_mlp(encoding, spec, classes or 1).eval(), torch.device("cpu"), *scale)
    if spec.kind == "linear" and classes:
        return fit_classifier(samples.encoded, samples.targets, spec, classes=classes).predictor
    if spec.kind == "linear":
        return fit_regressor(samples.encoded, samples.targets, spec).predictor
    best = BestRound(spec)
    plan = BoostingPlan(spec, classes, 1 if spec.kind == "random_forest" else 5, 0.3, seed=0)
    booster = fit_boosted(plan, samples, validation=samples, on_round=lambda record: best.see(record) or True)
    return best.model(booster, classes=classes)


def trained_table(name: str, classes: int) -> TrainedTable:
    spec, (table, score) = SPECS[name], mixed_table()
    trees = spec.kind in ("gradient_boosting", "random_forest")
    encoding = Encoding.fit(table, standardise=not trees, one_hot=spec.kind == "linear")
    ranks = score.argsort().argsort()
    targets = ranks * classes // len(score) if classes else score
    samples = Samples(encoding.encode(table), targets)
    return TrainedTable(
        problem="tabular_classification" if classes else "tabular_regression",
        spec=spec,
        schema=SCHEMA,
        classes=CLASSES[classes],
        encoding=encoding,
        predictor=predictor_of(spec, encoding, samples, classes),
        background=choose_background(table, targets, seed=0),
        center=center_of(samples.encoded),
        temperature=1.5 if classes else 1.0,
    )


def read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return json.loads(files.pop("config.json")), files


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("name", SPECS)
def test_what_is_loaded_answers_as_what_was_saved(name: str, classes: int, tmp_path: Path) -> None:
    trained = trained_table(name, classes)
    assert set(save_table(trained, tmp_path, training={"learning_rate": 0.1})) == {p.name for p in tmp_path.iterdir()}
    config, files = read(tmp_path)
    loaded = load_table(config, files)
    table, _ = mixed_table(rows=30, seed=5)
    outputs = loaded.outputs(loaded.encode(table))
    np.testing.assert_array_equal(outputs, trained.outputs(trained.encode(table)))
    assert outputs.shape == (30, classes or 1)
    if classes:
        np.testing.assert_allclose(loaded.probabilities(outputs).sum(1), 1.0, atol=1e-12)
        np.testing.assert_allclose(
            np.log(loaded.probabilities(outputs)[:, 1] / loaded.probabilities(outputs)[:, 0]),
            (outputs[:, 1] - outputs[:, 0]) / 1.5,
            atol=1e-9,
        )
    np.testing.assert_array_equal(loaded.center, trained.center)
    for column in SCHEMA:
        found, expected = loaded.background.values[column.name], trained.background.values[column.name]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert (loaded.schema, loaded.classes, loaded.estimator) == (SCHEMA, CLASSES[classes], SPECS[name].kind)


@pytest.mark.parametrize("name", SPECS)
def test_the_same_fit_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        save_table(trained_table(name, 3), tmp_path / folder)
    assert read(tmp_path / "first") == read(tmp_path / "second")


@pytest.mark.parametrize("name", ["mlp", "linear", "random_forest"])
def test_a_saved_model_saves_the_same_bytes_again(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    save_table(trained_table(name, 2), tmp_path / "first")
    save_table(load_table(*read(tmp_path / "first")), tmp_path / "second")
    assert read(tmp_path / "first") == read(tmp_path / "second")


@pytest.mark.parametrize("name", SPECS)
def test_an_unseen_category_is_answered_as_a_missing_one(name: str) -> None:
    trained = trained_table(name, 3)
    row = {"age": 41.0, "member": 1.0, "seen": 1.65e9}
    rows = [row | {"colour.of = thing": colour} for colour in ("mauve", None, "red", "blue")]
    outputs = trained.outputs(trained.encode(table_of(SCHEMA, rows)))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
    assert not np.allclose(outputs[2], outputs[3], atol=1e-3)


@pytest.mark.parametrize("name", SPECS)
def test_any_damage_is_found(name: str, tmp_path: Path) -> None:
    save_table(trained_table(name, 2), tmp_path)
    config, files = read(tmp_path)
    for file, content in files.items():
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        for damaged in (files | {file: flipped}, {k: v for k, v in files.items() if k != file}):
            with pytest.raises(ArtifactCorrupt, match="missing or damaged"):
                load_table(config, damaged)
    for change in ({"format": "other"}, {"center": [0.0]}, {"temperature": 0.0}, {"encoding": None}):
        with pytest.raises(ArtifactCorrupt):
            load_table(config | change, files)
    with pytest.raises(ArtifactCorrupt):
        load_table(config | {"classes": ["a", "b", "c"]}, files)


def test_the_background_has_the_classes_in_their_shares() -> None:
    table, _ = mixed_table(rows=1000)
    table.values["age"][:] = np.arange(1000)
    targets = np.repeat([0, 1, 2], [700, 250, 50])
    background = choose_background(table, targets, seed=1)
    counts = Counter(targets[background.values["age"].astype(int)].tolist())
    assert [abs(counts[c] - share) <= 1 for c, share in enumerate([70, 25, 5])] == [True] * 3
    assert len(background) == 100
    again, other = (choose_background(table, targets, seed=seed).values["age"] for seed in (1, 2))
    np.testing.assert_array_equal(background.values["age"], again)
    assert not np.array_equal(again, other)


def test_the_background_of_a_regression_has_its_deciles() -> None:
    table, score = mixed_table(rows=997)
    table.values["age"][:] = score
    chosen = choose_background(table, score, seed=0).values["age"]
    inner = np.quantile(score, np.arange(1, 10) / 10)
    assert np.abs(np.bincount(np.searchsorted(inner, chosen)) - 10).max() <= 1


def test_a_small_train_split_is_its_own_background() -> None:
    table, score = mixed_table(rows=7)
    np.testing.assert_array_equal(choose_background(table, score, seed=0).values["seen"], table.values["seen"])


def test_the_center_leaves_gaps_out() -> None:
    encoded = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    assert center_of(encoded).tolist() == [2.0, 5.0, 0.0]


def test_the_embedding_of_the_unknown_begins_at_zero() -> None:
    table, _ = mixed_table()
    encoding = Encoding.fit(table, standardise=True, one_hot=False)
    (embedding,) = build_mlp(encoding, MlpSpec(kind="mlp"), 2).embeddings
    assert embedding.weight.shape == (4, 2)
    assert not embedding.weight[0].any()
    assert embedding.weight[1:].all()


def test_trees_and_networks_answer_side_by_side_in_threads() -> None:
    """XGBoost and torch each bring an OpenMP of their own; a worker that explains holds both."""
    models = [trained_table(name, 3) for name in ("mlp", "random_forest", "gradient_boosting")]
    encoded = [trained.encode(mixed_table(rows=64, seed=2)[0]) for trained in models]
    alone = [trained.outputs(rows) for trained, rows in zip(models, encoded, strict=True)]
    with ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda n: models[n % 3].outputs(encoded[n % 3]), range(300))
        for number, outputs in enumerate(found):
            np.testing.assert_allclose(outputs, alone[number % 3], atol=1e-6)


def test_linear_models_and_trees_need_no_torch() -> None:
    program = (
        "import sys, worker.estimators.table_files, worker.estimators.linear, worker.estimators.boosting;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_columns_of_a_network_go_with_it_and_are_no_weights() -> None:
    """As an index on the device; files of networks stay as they were."""
    encoding = Encoding.fit(mixed_table(60)[0], standardise=True, one_hot=False)
    network = build_mlp(encoding, MlpSpec(kind="mlp"), 1)
    assert network.numeric_columns.tolist() == network.numeric
    assert "numeric_columns" not in network.state_dict()
    assert network.to("meta").numeric_columns.device.type == "meta"
