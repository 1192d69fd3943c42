"""Parquet uploads: types, and files that are not what they say."""

import datetime
import io
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import (
    BadInput,
    CsvMalformed,
    DatasetTooSmall,
    DuplicateColumn,
    Invalid,
    PayloadTooLarge,
    TargetInvalid,
    UnsupportedMediaType,
)
from service.specs.csv_reader import CsvLimits
from service.specs.table_files import check_table
from service.specs.tables import TableOptions
from tests.worker.data.tables.validated import Validated, validate_file
from worker.data.tables.parquet_table import read_parquet

ROWS = 40
LABELS = pa.array(["a", "b"] * 20)


def validate(folder: Path, arrays: dict[str, Any], **options: Any) -> Validated:
    path = folder / "table.parquet"
    pq.write_table(pa.table(arrays if "y" in arrays else {**arrays, "y": LABELS}), path)
    with path.open("rb") as file:
        assert check_table(file, TableOptions(**options)) == "parquet"
    return validate_file(path, "parquet", **options)


def repeated(values: list[Any], kind: pa.DataType | None = None) -> pa.Array:
    return pa.array([values[n % len(values)] for n in range(ROWS)], kind)


UTC = datetime.UTC
NOON = datetime.datetime(2024, 3, 1, 12, tzinfo=UTC)
PLUS_TWO = datetime.timezone(datetime.timedelta(hours=2))
TYPES: dict[str, tuple[pa.Array, str, list[Any]]] = {
    "int64": (repeated([1, None, 3], pa.int64()), "numeric", [1.0, None, 3.0]),
    "uint8": (repeated([1, 255], pa.uint8()), "numeric", [1.0, 255.0]),
    "float32": (repeated([0.5, math.nan], pa.float32()), "numeric", [0.5, None]),
    "float16": (pa.array(np.tile(np.array([0.5, 2.0], np.float16), 20)), "numeric", [0.5, 2.0]),
    "decimal": (repeated([Decimal("1.25"), None]), "numeric", [1.25, None]),
    "boolean": (repeated([True, None, False]), "boolean", [1.0, None, 0.0]),
    "timestamp ns": (repeated([NOON, None], pa.timestamp("ns")), "datetime", [NOON.timestamp(), None]),
    "timestamp with a zone": (
        repeated([NOON.astimezone(PLUS_TWO)], pa.timestamp("ms", "+02:00")), "datetime", [NOON.timestamp()]),
    "date": (repeated([NOON.date()], pa.date32()), "datetime", [NOON.timestamp() - 43200]),
    "string": (repeated(["Rome", None, "NA", ""]), "categorical", ["Rome", None, None, None]),
    "large string": (repeated(["Rome", "Oslo"], pa.large_string()), "categorical", ["Rome", "Oslo"]),
    "dictionary": (repeated(["Rome", None]).dictionary_encode(), "categorical", ["Rome", None]),
    "digits in strings": (repeated(["1", "2.5"]), "numeric", [1.0, 2.5]),
}  # fmt: skip


@pytest.mark.parametrize(("column", "kind", "expected"), TYPES.values(), ids=TYPES)
def test_types(tmp_path: Path, column: pa.Array, kind: str, expected: list[Any]) -> None:
    found = validate(tmp_path, {"x": column, "z": pa.array(np.sqrt(np.arange(ROWS)))})
    assert found.kinds() == {"x": kind, "z": "numeric"}
    values = found.samples.table.values["x"][: len(expected)].tolist()
    assert [None if value != value else value for value in values] == expected


Z = {"z": pa.array(np.sqrt(np.arange(ROWS)))}
OVERRIDES: dict[str, tuple[pa.Array, str, list[Any]]] = {
    "number as category": (repeated([1, 2, None]), "categorical", ["1", "2", None]),
    "number as switch": (repeated([1, 0]), "boolean", [1.0, 0.0]),
    "switch as category": (repeated([True, False]), "categorical", ["true", "false"]),
    "date as category": (repeated([NOON.date()], pa.date32()), "categorical", ["2024-03-01T00:00:00+00:00"]),
}


@pytest.mark.parametrize(("column", "kind", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_kinds_can_be_asked_for(tmp_path: Path, column: pa.Array, kind: str, expected: list[Any]) -> None:
    found = validate(tmp_path, {"x": column, **Z}, columns={"x": kind})
    assert found.samples.table.values["x"][: len(expected)].tolist() == expected


def test_rows_are_named_where_there_are_no_lines(tmp_path: Path) -> None:
    numbers = [float(n) for n in range(ROWS)]
    numbers[7] = math.inf
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, {"x": pa.array(numbers)})
    assert caught.value.errors[0].loc == ("row", 7, "x")
    labels = pa.array([None if n == 3 else "ab"[n % 2] for n in range(ROWS)])
    with pytest.raises(TargetInvalid) as missing:
        validate(tmp_path, {**Z, "y": labels})
    assert [fault.loc for fault in missing.value.errors] == [("row", 3, "y")]


def test_targets_of_all_types(tmp_path: Path) -> None:
    for column, problems in (
        (repeated([True, False]), ["tabular_classification"]),
        (repeated([0, 1, 2]), ["tabular_classification", "tabular_regression"]),
        (pa.array(np.sqrt(np.arange(ROWS)) + 1), ["tabular_regression"]),
    ):
        assert validate(tmp_path, {**Z, "y": column}).found.manifest.problems == problems
    with pytest.raises(TargetInvalid, match="time"):
        validate(tmp_path, {**Z, "y": repeated([NOON.date()], pa.date32())})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2]] * ROWS),
        pa.array([{"a": 1}] * ROWS),
        pa.array([b"\xff"] * ROWS),
        pa.array([datetime.time(12)] * ROWS),
        pa.array([datetime.timedelta(1)] * ROWS),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_are_not_taken_are_named(tmp_path: Path, column: pa.Array) -> None:
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, {**Z, "x": column})
    assert [(fault.loc, fault.code) for fault in caught.value.errors] == [(("columns", "x"), "unsupported-type")]


def test_columns_of_nothing_are_ignored(tmp_path: Path) -> None:
    found = validate(tmp_path, {**Z, "void": pa.nulls(ROWS), "empty": pa.nulls(ROWS, pa.float64())})
    assert found.found.manifest.ignored == ["void", "empty"]


def raw(folder: Path, table: pa.Table) -> Path:
    path = folder / "raw.parquet"
    pq.write_table(table, path)
    return path


NAMES: list[tuple[list[str], type[BadInput]]] = [
    (["x", "x", "y"], DuplicateColumn),
    (["", "x", "y"], CsvMalformed),
    (["\x00class", "x", "y"], CsvMalformed),
]


@pytest.mark.parametrize(("names", "error"), NAMES)
def test_names_of_columns(tmp_path: Path, names: list[str], error: type[BadInput]) -> None:
    table = pa.table([Z["z"], Z["z"], LABELS], names=names)
    with pytest.raises(error):
        read_parquet(raw(tmp_path, table))


def test_too_few_and_too_many_rows(tmp_path: Path) -> None:
    path = raw(tmp_path, pa.table({"x": list(range(9)), "y": ["a", "b", "a"] * 3}))
    with pytest.raises(DatasetTooSmall):
        validate_file(path, "parquet")
    for limits in (CsvLimits(rows=8), CsvLimits(cells=17)):
        with pytest.raises(PayloadTooLarge):
            read_parquet(path, limits)


def test_one_long_text_in_many_rows_stays_one(tmp_path: Path) -> None:
    """A file of kilobytes that would unpack to 100 GB."""
    code = pa.array(np.zeros(100_000, dtype=np.int32))
    column = pa.DictionaryArray.from_arrays(code, pa.array(["x" * 1_000_000]))
    path = raw(tmp_path, pa.table({"x": column, "y": pa.array(["a", "b"] * 50_000)}))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(Invalid) as caught:
        validate_file(path, "parquet")
    assert caught.value.errors[0].code == "too-long"


def test_times_beyond_the_calendar(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, {"x": pa.array([2**60] * ROWS, pa.timestamp("us"))})
    assert caught.value.errors[0].code == "out-of-range"


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Bytes changed at a hundred places: read as some table, or refused as damaged; never another error."""
    buffer = io.BytesIO()
    towns = repeated(["Rome", "Oslo"])
    pq.write_table(pa.table({**Z, "town": towns, "y": LABELS}), buffer)
    content = buffer.getvalue()
    path = tmp_path / "damaged.parquet"
    refused = 0
    for seed in range(100):
        damaged = bytearray(content)
        generator = np.random.default_rng(seed)
        for place in generator.integers(4, len(content) - 8, size=3):
            damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            validate_file(path, "parquet")
        except UnsupportedMediaType:
            refused += 1
        except BadInput:
            pass
    assert refused > 20
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnsupportedMediaType):
        validate_file(path, "parquet")
