"""Planted evidence: each warning where it was planted, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from tests.worker.data.tables.validated import validate


def noise(rows: int = 200, seed: int = 0) -> dict[str, list[Any]]:
    """Two features that have nothing to do with the label."""
    random = np.random.default_rng(seed)
    towns = np.array(["Rome", "Oslo", "Bonn"])[random.integers(0, 3, rows)]
    labels = np.array(["a", "b"])[random.integers(0, 2, rows)]
    return {"x": random.normal(size=rows).tolist(), "town": towns.tolist(), "label": labels.tolist()}


def with_column(name: str, values: Any, table: dict[str, list[Any]] | None = None) -> dict[str, list[Any]]:
    return {name: list(values), **(noise() if table is None else table)}


def test_noise_has_none(tmp_path: Path) -> None:
    assert validate(tmp_path, noise()).codes() == []


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_honest_data_sets_leak_nothing(tmp_path: Path, load: Any) -> None:
    data = load()
    table = {f"f{place}": column.tolist() for place, column in enumerate(data.data.T)} | {"y": data.target.tolist()}
    assert "leakage-suspected" not in validate(tmp_path, table).codes()


LABELS = np.array(noise()["label"])
LEAKS: dict[str, Any] = {
    "a copy": np.where(LABELS == "a", "yes please", "no thanks"),
    "a threshold": np.where(LABELS == "a", 1.0, 2.0) + np.linspace(0, 0.5, 200),
    "a band": np.where(LABELS == "a", 0.0, np.where(np.arange(200) % 2 == 0, -5.0, 5.0)),
    "a missing value": np.where(LABELS == "a", "", "0.5"),
    "numbers beyond float32": np.where(LABELS == "a", 1e300, 1e301),
    "microseconds": np.where(LABELS == "a", "2024-01-01T00:00:00.000001", "2024-01-01T00:00:00.000002"),
    "a boolean": np.where(LABELS == "a", "true", "false"),
    "a date": np.where(LABELS == "a", "2020-01-01", "2024-01-01"),
}


@pytest.mark.parametrize("values", LEAKS.values(), ids=LEAKS)
def test_s32_a_feature_that_tells_the_class_is_named(tmp_path: Path, values: Any) -> None:
    found = validate(tmp_path, with_column("told", values))
    assert "Column told:" in found.message("leakage-suspected")


def test_s32_ids_in_the_order_of_the_classes_leak(tmp_path: Path) -> None:
    """S32."""
    table = with_column("id", range(200), noise() | {"label": ["a"] * 100 + ["b"] * 100})
    found = validate(tmp_path, table)
    assert "Column id:" in found.message("leakage-suspected")
    assert "Column id:" in found.message("id-like-column")


def test_names_of_rows_memorise_and_leak_nothing(tmp_path: Path) -> None:
    table = with_column("name", [f"n{n}" for n in range(200)])
    assert validate(tmp_path, table, columns={"name": "categorical"}).codes() == ["high-cardinality-column"]


def test_a_feature_that_tells_the_value(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    value = random.normal(size=200)
    groups = random.integers(0, 6, 200)
    table = {
        "scaled": (3.0 - 2.0 * value + random.normal(scale=0.1, size=200)).tolist(),
        "weaker": (value + random.normal(scale=0.3, size=200)).tolist(),
        "huge": (value * 1e300).tolist(),
        "group": [f"g{group}" for group in groups],
        "y": value.tolist(),
    }
    assert validate(tmp_path, table).message("leakage-suspected").startswith("Column scaled, huge:")
    table["y"] = (groups + random.normal(scale=0.01, size=200)).tolist()
    assert validate(tmp_path, table).message("leakage-suspected").startswith("Column group:")


COLUMNS: dict[str, tuple[Any, str, str]] = {
    "near constant": ([0.5] * 199 + [1], "near-constant-column", "c"),
    "constant text": (["same"] * 200, "near-constant-column", "c"),
    "mostly missing": ([""] * 101 + [1, 2, 3] * 33, "high-missing-column", "c"),
    "many categories": ([f"k{n % 60}" for n in range(200)], "high-cardinality-column", "c"),
    "whole numbers": (np.random.default_rng(1).permutation(100_000)[:200], "id-like-column", "c"),
    "ids": ([f"id-{n}" for n in range(200)], "id-like-column", "c"),
}


@pytest.mark.parametrize(("values", "code", "name"), COLUMNS.values(), ids=COLUMNS)
def test_columns_are_named(tmp_path: Path, values: Any, code: str, name: str) -> None:
    found = validate(tmp_path, with_column(name, values))
    assert found.codes() == [code]
    assert f"Column {name}:" in found.message(code)


@pytest.mark.parametrize(
    "values",
    [
        [0.5] * 197 + [1] * 3,
        [""] * 100 + [1, 2] * 50,
        [f"k{n % 40}" for n in range(200)],
        [n % 150 for n in range(200)],
    ],
)
def test_just_below_the_thresholds(tmp_path: Path, values: list[Any]) -> None:
    assert validate(tmp_path, with_column("c", values)).codes() == []


def test_classes_and_copies(tmp_path: Path) -> None:
    table = noise()
    table["label"] = ["rare" if n < 15 else "common" for n in range(200)]
    for name in ("x", "town"):
        table[name][20:25] = table[name][30:35]
        table[name][2] = table[name][100]
    found = validate(tmp_path, table)
    assert found.codes() == ["small-dataset", "class-imbalance", "duplicate-samples", "conflicting-labels"]
    assert "15 rows" in found.message("small-dataset")
    assert "12 times" in found.message("class-imbalance")
    assert found.message("duplicate-samples").startswith("5 rows")
    assert found.message("conflicting-labels").startswith("1 rows")


def test_many_columns_are_not_all_named(tmp_path: Path) -> None:
    table = {f"c{n}": [1] * 200 for n in range(14)} | noise()
    assert (
        validate(tmp_path, table)
        .message("near-constant-column")
        .startswith("Column c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 4 more:")
    )
