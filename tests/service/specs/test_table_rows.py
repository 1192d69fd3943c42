from typing import Any

import pytest

from service.errors import CsvMalformed, DuplicateColumn, Invalid, MalformedJson, TooManyItems
from service.specs.table_rows import checked_rows, read_rows_csv, read_rows_jsonl
from service.specs.tables import ColumnSchema

COLUMNS = [
    ColumnSchema(name="age", kind="numeric"),
    ColumnSchema(name="smokes", kind="boolean"),
    ColumnSchema(name="seen", kind="datetime"),
    ColumnSchema(name="city", kind="categorical"),
    ColumnSchema(name="note", kind="text"),
]
NOTHING = dict.fromkeys(["age", "smokes", "seen", "city", "note"])
WHERE = ("body", "inputs")

VALUES: list[tuple[str, Any, Any]] = [
    ("age", 3, 3.0),
    ("age", -0.5, -0.5),
    ("age", "1e3", 1000.0),
    ("age", "NA", None),
    ("smokes", True, 1.0),
    ("smokes", False, 0.0),
    ("smokes", 1, 1.0),
    ("smokes", "No", 0.0),
    ("seen", "1970-01-02", 86400.0),
    ("seen", "", None),
    ("city", "Rome", "Rome"),
    ("city", 1, "1"),
    ("city", 1.0, "1"),
    ("city", 1.5, "1.5"),
    ("city", "null", None),
    ("note", "a, b", "a, b"),
    ("note", None, None),
]


@pytest.mark.parametrize(("name", "value", "expected"), VALUES)
def test_values_by_kind(name: str, value: Any, expected: Any) -> None:
    assert checked_rows(COLUMNS, [{name: value}], where=WHERE) == [{**NOTHING, name: expected}]


WRONG: list[tuple[str, Any]] = [
    ("age", True),
    ("age", "old"),
    ("age", "inf"),
    ("age", "1e999"),
    ("age", float("inf")),
    ("age", float("nan")),
    ("age", 10**400),
    ("age", [1]),
    ("age", {}),
    ("smokes", 2),
    ("smokes", "perhaps"),
    ("seen", 0),
    ("seen", "yesterday"),
    ("city", True),
    ("city", ["Rome"]),
    ("city", "a" * 131_073),
    ("city", "\ud800"),
    ("note", 1),
    ("note", "ü" * 70_000),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        checked_rows(COLUMNS, [{}, {name: value}], where=WHERE)
    assert [fault.loc for fault in caught.value.errors] == [("body", "inputs", 1, name)]


def test_every_wrong_cell_is_named_up_to_100() -> None:
    rows = [{"age": "x", "smokes": "x", "weight": 1}] * 60
    with pytest.raises(Invalid) as caught:
        checked_rows(COLUMNS, rows, where=WHERE)
    places = [fault.loc[2:] for fault in caught.value.errors]
    assert places[:4] == [(0, "weight"), (0, "age"), (0, "smokes"), (1, "weight")]
    assert len(caught.value.errors) == 100


def test_rows_of_csv() -> None:
    content = b'\xef\xbb\xbfage;city\r\n41;Rome\r\n;"a;b"\r\n'
    rows = read_rows_csv(content, limit=2)
    assert rows == [{"age": "41", "city": "Rome"}, {"age": "", "city": "a;b"}]
    assert checked_rows(COLUMNS, rows, where=("file",))[1] == {**NOTHING, "city": "a;b"}
    with pytest.raises(TooManyItems):
        read_rows_csv(content, limit=1)


@pytest.mark.parametrize(
    ("content", "error"), [(b"a,b\n1", CsvMalformed), (b"a,a\n1,2", DuplicateColumn), (b"a\n\xff", CsvMalformed)]
)
def test_bad_csv(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_rows_csv(content, limit=10)


def test_rows_of_json_lines() -> None:
    content = b'{"age": 41, "city": "Rome"}\n\n{"age": null}\r\n{}'
    assert read_rows_jsonl(content, limit=3) == [{"age": 41, "city": "Rome"}, {"age": None}, {}]
    with pytest.raises(TooManyItems):
        read_rows_jsonl(content, limit=2)


BAD_LINES = [
    *(b'{"age": NaN}', b'{"age": Infinity}', b"[1]", b"1", b'{"a": 1, "a": 2}', b"{", b'{"a": "\xff"}', b"[" * 100_000),
    *(b'{"a": ' + b"9" * 5000 + b"}", '{"age": 1}'.encode("utf-16")),
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_json_line_is_named(line: bytes) -> None:
    with pytest.raises(MalformedJson) as caught:
        read_rows_jsonl(b'{"age": 1}\n\n' + line, limit=10)
    assert caught.value.errors[0].loc == ("file", 3)
