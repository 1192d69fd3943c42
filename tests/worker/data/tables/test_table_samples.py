"""What validation writes is what trials read."""

import hashlib
import itertools
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import Stopped
from service.specs.cell_values import is_missing
from service.specs.sample_columns import CLASS, DIGEST
from service.specs.tables import TableOptions
from tests.worker.data.damage import leave_readable
from tests.worker.data.tables.validated import csv_bytes, validate
from worker.data.tables.cells import NumberCells, TextCells
from worker.data.tables.digests import digest_rows
from worker.data.tables.samples import read_chosen_samples, read_samples, write_samples
from worker.data.tables.target import Target
from worker.data.tables.validation import validate_table

LABELS = ["a", "b"] * 20


def test_the_file_is_typed_and_our_columns_cannot_be_anybodys(tmp_path: Path) -> None:
    table = {
        "id": [f"u{n}" for n in range(40)],
        "n": [n / 3 for n in range(40)],
        "flag": ["yes", ""] * 20,
        "day": ["2024-01-01", "2024-01-02"] * 20,
        "town": ["Rome", "Oslo"] * 20,
        "y": [n % 4 for n in range(40)],
    }
    validate(tmp_path, table)
    schema = {field.name: field.type for field in pq.read_schema(tmp_path / "samples.parquet")}
    assert schema == {
        "n": pa.float64(),
        "flag": pa.bool_(),
        "day": pa.timestamp("us", "UTC"),
        "town": pa.string(),
        "id": pa.string(),
        "\x00class": pa.string(),
        "\x00value": pa.float64(),
        "\x00sha256": pa.string(),
    }


CELLS = {
    "numeric": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.none() | st.booleans(),
    "categorical": st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(sorted(CELLS)))
def test_every_value_comes_back(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    cells = data.draw(st.lists(CELLS[kind], min_size=12, max_size=12).filter(lambda drawn: any(drawn)))
    table = {"x": cells, "z": [math.sqrt(n) for n in range(12)], "y": ["a", "b"] * 6}
    missing = [cell is None or (isinstance(cell, str) and is_missing(cell)) for cell in cells]
    if all(missing):
        return
    found = validate(tmp_path, table, columns={"x": kind}).samples.table.values["x"].tolist()
    for given_cell, is_none, read in zip(cells, missing, found, strict=True):
        if is_none:
            assert read is None or math.isnan(read)
        else:
            assert read == given_cell


def by_hand(row: list[Any]) -> str:
    """As `digest_rows` says that it counts."""
    parts = []
    for value in row:
        if isinstance(value, str):
            parts.append(b"\1" + hashlib.sha256(value.encode()).digest())
        elif value is None:
            parts.append(bytes(33))
        else:
            parts.append(bytes(9) if math.isnan(value) else b"\1" + struct.pack("<d", value + 0.0))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_digests_by_hand() -> None:
    numbers = [1.5, -0.0, 0.0, math.nan, 1.5]
    texts = ["a", "b", "b", None, "a"]
    cells = TextCells(np.array([0, 1, 1, -1, 0], dtype=np.int32), ["a", "b"])
    digests = digest_rows([NumberCells("numeric", np.array(numbers)), cells], 5)
    assert digests == [by_hand([number, text]) for number, text in zip(numbers, texts, strict=True)]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


def test_missing_is_neither_zero_nor_an_empty_text() -> None:
    zero = NumberCells("numeric", np.array([0.0, math.nan]))
    assert len(set(digest_rows([zero], 2))) == 2
    empty = TextCells(np.array([0, -1], dtype=np.int32), [""])
    assert len(set(digest_rows([empty], 2))) == 2


def test_rows_are_the_same_when_their_features_are(tmp_path: Path) -> None:
    """Neither the target, nor ignored columns, nor the spelling of a number counts."""
    table = {"id": [f"u{n}" for n in range(40)], "n": [math.sqrt(n) for n in range(40)], "y": LABELS}
    table["n"][:3] = ["1", "1.0", "1e0"]
    digests = validate(tmp_path, table).samples.digests
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 38
    other = validate(tmp_path, table | {"y": LABELS[::-1]}).samples.digests
    assert other == digests


def test_many_row_groups(tmp_path: Path) -> None:
    """More rows than are written, read or hashed at once."""
    rows = 140_000
    table = {
        "n": (np.arange(rows) * 0.5).tolist(),
        "town": [f"t{n % 7}" if n % 5 else "" for n in range(rows)],
        "y": ["ab"[n % 2] for n in range(rows)],
    }
    found = validate(tmp_path, table)
    assert found.samples.table.values["n"].tolist() == table["n"]
    assert found.samples.table.values["town"].tolist() == [town or None for town in table["town"]]
    assert found.samples.classes is not None
    assert found.samples.classes.tolist() == table["y"]
    assert len(set(found.samples.digests)) == rows
    assert found.profile("town") | {"distinct": 7, "missing": 28_000} == found.profile("town")


def test_a_few_rows_need_neither_other_groups_nor_other_columns(tmp_path: Path) -> None:
    rows = 70_000
    table = {
        "n": (np.arange(rows) * 0.5).tolist(),
        "town": [f"t{n % 7}" if n % 5 else "" for n in range(rows)],
        "m": [n % 11 for n in range(rows)],
        "y": ["ab"[n % 2] for n in range(rows)],
    }
    manifest = validate(tmp_path, table).found.manifest
    path = tmp_path / "samples.parquet"
    leave_readable(path, groups={1}, columns={"n", "town", CLASS, DIGEST})
    found = read_chosen_samples(path, manifest, [69_999, 65_540, 65_537, 65_540], {"n", "town", "other"})
    assert [column.name for column in found.table.schema] == ["n", "town"]
    assert found.table.values["n"].tolist() == [34_999.5, 32_770.0, 32_768.5, 32_770.0]
    assert found.table.values["town"].tolist() == ["t6", None, "t3", None]
    assert found.classes is not None
    assert found.classes.tolist() == ["b", "a", "b", "a"]
    assert found.columns("n") == ["34999.5", "32770", "32768.5", "32770"]
    assert len(found.digests) == 4


def test_rows_of_long_texts_have_groups_of_their_own(tmp_path: Path) -> None:
    texts = [f"{n} " * 2_500_000 for n in range(3)]
    cells = TextCells(np.array([0, -1, 1, 1, 2, -1], dtype=np.int32), texts)
    target = Target("y", ["tabular_classification"], np.array(["a", "b"] * 3, dtype=object), None)
    write_samples(tmp_path / "s.parquet", {"note": cells}, target, [f"{n}" for n in range(6)])
    metadata = pq.read_metadata(tmp_path / "s.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [2, 1, 1, 2]


def test_the_profile_is_by_column_in_the_order_of_the_file(tmp_path: Path) -> None:
    values = [*range(19), "NA"] * 2
    table = {"id": [f"u{n}" for n in range(40)], "y": LABELS, "n": values, "day": ["1970-01-02", "1970-01-04"] * 20}
    found = validate(tmp_path, table, target="y")
    assert [column.name for column in found.found.profile.columns] == ["id", "n", "day"]
    assert found.profile("n") == {
        "name": "n", "kind": "numeric", "missing": 2, "distinct": 19, "minimum": 0.0, "maximum": 18.0, "mean": 9.0,
    }  # fmt: skip
    assert found.profile("day")["mean"] == 2 * 86400.0
    assert found.profile("id") | {"kind": "ignore", "distinct": 40, "minimum": None} == found.profile("id")
    assert found.found.profile.target.classes == {"a": 20, "b": 20}


def test_progress_can_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes({"x": range(40), "y": LABELS}))
    for stop_at in itertools.count():
        calls = itertools.count()

        def progress(done: int, total: int, calls: Any = calls, stop_at: int = stop_at) -> None:
            assert 0 <= done <= total
            if next(calls) == stop_at:
                raise Stopped("drained")

        try:
            found = validate_table(
                path, format="csv", options=TableOptions(), output=tmp_path / "s.parquet", progress=progress
            )
        except Stopped:
            continue
        assert stop_at >= 2, "it asked while reading and while deciding"
        assert read_samples(tmp_path / "s.parquet", found.manifest).digests
        return


def test_a_column_called_like_the_beginning_of_another(tmp_path: Path) -> None:
    """Parquet paths use dots; names of columns may."""
    table = {"a.b": [math.sqrt(n) for n in range(40)], "a": [float(n) / 7 for n in range(40)], "y": LABELS}
    values = validate(tmp_path, table).samples.table.values
    assert values["a"].tolist() == pytest.approx(table["a"])
    assert values["a.b"].tolist() == pytest.approx(table["a.b"])
