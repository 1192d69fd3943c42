"""Kinds of columns, as they are inferred and as they are asked for; what is read is what was written."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.errors import Invalid
from tests.worker.data.tables.validated import validate

LABELS = [["a", "b"][number % 2] for number in range(40)]
SENTENCE = "the cat number {} sat on the mat"


def column(*values: Any) -> dict[str, list[Any]]:
    """Forty rows: the values over and over, a number that differs in each, and a label."""
    numbers = [math.sqrt(number) for number in range(40)]
    return {"x": [values[number % len(values)] for number in range(40)], "z": numbers, "label": LABELS}


KINDS: dict[str, tuple[tuple[Any, ...], str]] = {
    "integers": ((1, 2, 30), "numeric"),
    "floats with missing": (("1.5", "-2e3", "NA", "", ".5"), "numeric"),
    "zeros and ones": ((0, 1), "numeric"),
    "words": (("true", "False", "null"), "boolean"),
    "yes and no": (("Yes", "NO"), "boolean"),
    "dates": (("2024-01-01", "2023-12-31", "NaN"), "datetime"),
    "timestamps": (("2024-01-01T10:00:00Z", "2024-01-01 10:00:00.5"), "datetime"),
    "towns": (("Rome", "Oslo"), "categorical"),
    "postcodes": (("01234", "99999"), "categorical"),
    "a number and a word": (("1", "two"), "categorical"),
    "a date and a word": (("2024-01-01", "soon"), "categorical"),
    "sentences": (tuple(SENTENCE.format(number) for number in range(40)), "text"),
    "few sentences": ((SENTENCE.format(1), SENTENCE.format(2)), "categorical"),
    "decimal commas": (("1,5", "2,5"), "categorical"),
}


@pytest.mark.parametrize(("values", "kind"), KINDS.values(), ids=KINDS)
def test_kinds_are_inferred(tmp_path: Path, values: tuple[Any, ...], kind: str) -> None:
    assert validate(tmp_path, column(*values)).kinds() == {"x": kind, "z": "numeric"}


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    """Expectations by hand; the table is the one of `worker.data.table`."""
    rows = [f"{n};yes;2000-01-01;Oslo;this is note {n};{'ab'[n % 2]}" for n in range(30)]
    first = [
        "n;flag;seen;town;note;label",
        '1.5;yes;2024-02-29;Rome;"one, two\nthree four";a',
        "NA;no;1970-01-01T01:00:00+01:00;ROME;;b",
        "-2E3;;;null; five six seven eight;a",
    ]
    content = b"\xef\xbb\xbf" + "\n".join([*first, *rows]).encode()
    table = validate(tmp_path, content).samples.table
    values = {name: found[:3].tolist() for name, found in table.values.items()}
    assert [schema.kind for schema in table.schema] == ["numeric", "boolean", "datetime", "categorical", "text"]
    assert values["town"] == ["Rome", "ROME", None]
    assert values["note"] == ["one, two\nthree four", None, " five six seven eight"]
    np.testing.assert_array_equal(values["n"], [1.5, math.nan, -2000.0])
    np.testing.assert_array_equal(values["flag"], [1.0, 0.0, math.nan])
    np.testing.assert_array_equal(values["seen"], [1709164800.0, 0.0, math.nan])


OVERRIDES: dict[str, tuple[tuple[Any, ...], str, list[Any]]] = {
    "number as category": (("1", "01", "NA"), "categorical", ["1", "01", None]),
    "switch": (("1", "0", ""), "boolean", [1.0, 0.0, None]),
    "town as text": (("Rome", "Oslo", ""), "text", ["Rome", "Oslo", None]),
    "postcode as number": (("01", "2", ""), "numeric", [1.0, 2.0, None]),
    "date as category": (("2024-01-01", "2024-01-02", ""), "categorical", ["2024-01-01", "2024-01-02", None]),
}


@pytest.mark.parametrize(("values", "kind", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_kinds_can_be_asked_for(tmp_path: Path, values: tuple[Any, ...], kind: str, expected: list[Any]) -> None:
    found = validate(tmp_path, column(*values), columns={"x": kind}).samples.table
    assert found.schema[0].kind == kind
    assert [None if value != value else value for value in found.values["x"][:3].tolist()] == expected


@pytest.mark.parametrize(
    ("kind", "wrong"), [("numeric", "five"), ("boolean", "2"), ("datetime", "2024-02-30"), ("numeric", "inf")]
)
def test_a_value_that_does_not_fit_is_named_by_line(tmp_path: Path, kind: str, wrong: str) -> None:
    good = {"numeric": "5", "boolean": "1", "datetime": "2024-02-28"}[kind]
    table = column(good)
    table["x"][7] = table["x"][9] = wrong
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, table, columns={"x": kind})
    fault = caught.value.errors[0]
    assert fault.loc == ("file", 9, "x")
    assert fault.code == ("not-finite" if wrong == "inf" else "wrong-kind")
    assert "1 more row" in fault.message


def test_infinity_is_a_fault_of_its_own(tmp_path: Path) -> None:
    table = column("1", "2")
    table["x"][3] = "-Infinity"
    with pytest.raises(Invalid) as caught:
        validate(tmp_path, table)
    assert (caught.value.errors[0].loc, caught.value.errors[0].code) == (("file", 5, "x"), "not-finite")
    assert validate(tmp_path, table, columns={"x": "categorical"}).kinds()["x"] == "categorical"


def test_columns_that_name_rows_or_nothing_are_ignored(tmp_path: Path) -> None:
    table = {"id": [f"u{n}" for n in range(40)], "void": ["NA"] * 40, "n": range(40), "label": LABELS}
    found = validate(tmp_path, table, columns={})
    assert (found.kinds(), found.found.manifest.ignored) == ({"n": "numeric"}, ["id", "void"])
    assert "Column id:" in found.message("id-like-column") or "Column n:" in found.message("id-like-column")
    assert "Column void:" in found.message("high-missing-column")
    assert found.samples.columns("id")[:2] == ["u0", "u1"]
    assert found.samples.columns("n")[:2] == ["0", "1"]
    assert found.samples.columns("void") == [None] * 40
    with pytest.raises(ValueError, match="no such column"):
        found.samples.columns("label")


def test_an_id_can_be_made_a_feature_and_a_feature_ignored(tmp_path: Path) -> None:
    table = {"id": [f"u{n}" for n in range(40)], "n": range(40), "label": LABELS}
    found = validate(tmp_path, table, columns={"id": "categorical", "n": "ignore"})
    assert (found.kinds(), found.found.manifest.ignored) == ({"id": "categorical"}, ["n"])
    assert found.samples.columns("n")[:3] == ["0", "1", "2"]


def test_columns_as_text_are_what_a_split_reads(tmp_path: Path) -> None:
    table = {"t": [f"2024-01-{1 + n % 28:02d}" for n in range(40)], "f": ["yes", "no"] * 20, "label": LABELS}
    samples = validate(tmp_path, table).samples
    assert samples.columns("t")[0] == "2024-01-01T00:00:00+00:00"
    assert samples.columns("f")[:2] == ["true", "false"]
