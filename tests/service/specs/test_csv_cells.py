"""S33: what a spreadsheet could run is not written."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.specs.csv_cells import guard, write_csv


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(..)", "\uff1d1", "-", "+"],
)
def test_s33_formulas_are_text(text: str) -> None:
    assert guard(text) == f"'{text}"
    assert read("".join(write_csv([text], [[text]]))) == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize("text", ["", "cat", "a=b", " =1", "-5", "+0.5e3", "'=1", "1-2", "ä"])
def test_other_text_stays(text: str) -> None:
    assert guard(text) == text


def test_kinds_of_cells() -> None:
    lines = list(write_csv(["label", "n"], [["a,b", -5], ['say "hi"', -0.25], [None, True], ["-1+1", 3.0]]))
    assert lines == ["label,n\r\n", '"a,b",-5\r\n', '"say ""hi""",-0.25\r\n', ",true\r\n", "'-1+1,3\r\n"]


@given(st.lists(st.lists(st.text() | st.floats(allow_nan=False) | st.none(), min_size=2, max_size=2), max_size=5))
def test_what_is_written_is_read(rows: list[list[Any]]) -> None:
    found = read("".join(write_csv(["a", "b"], rows)))[1:]
    for row, cells in zip(rows, found, strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, float):
                assert float(cell) == value
            else:
                assert cell in {value or "", f"'{value}"}
                assert cell == "" or cell[0] not in "=+-@\t\r\n" or cell.lstrip("+-")[:1] in tuple(".0123456789i")
