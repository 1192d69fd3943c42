"""Structure of uploaded tables: S30 to S32, S34."""

import csv
import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BadInput, CsvMalformed, Invalid, PayloadTooLarge, TargetInvalid
from service.specs.csv_reader import CsvLimits, CsvReader
from service.specs.table_files import check_csv, check_table, table_format
from service.specs.tables import TableOptions
from tests.corpora import tables

BY_DEFAULT = TableOptions()
Builder = Callable[[], tables.Case]


def hostile(rule: str) -> pytest.MarkDecorator:
    """Every table of the corpus that breaks this rule."""
    return pytest.mark.parametrize("builder", tables.cases(rule).values(), ids=tables.cases(rule))


@hostile("s30")
def test_s30_malformed_tables_are_refused_by_the_line(builder: Builder) -> None:
    refused(builder)


@hostile("s31")
def test_s31_tables_without_anything_to_learn(builder: Builder) -> None:
    refused(builder)


@hostile("s32")
def test_s32_columns_of_the_same_name(builder: Builder) -> None:
    refused(builder)


@hostile("s34")
def test_s34_other_formats_are_no_tables(builder: Builder) -> None:
    refused(builder)


def refused(builder: Builder) -> None:
    content, slug, line = builder()
    with pytest.raises(BadInput) as caught:
        check_table(io.BytesIO(content), BY_DEFAULT)
    assert caught.value.slug == slug
    if line is not None:
        assert caught.value.errors[0].loc == ("file", line)
        assert f"Line {line}:" in caught.value.errors[0].message


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_plain_tables_are_read(mark: bytes, end: str, delimiter: str) -> None:
    content = mark + tables.plain(end=end).replace(b",", delimiter.encode())
    facts = check_csv(io.BytesIO(content), BY_DEFAULT)
    assert (facts.columns, facts.delimiter, facts.rows, facts.target) == (("n", "x", "label"), delimiter, 40, "label")


def test_a_declared_delimiter_leaves_the_others_to_the_cells() -> None:
    content = tables.plain(header="n|m;x;label", rows=[row.replace(",", ";") for row in tables.ROWS])
    facts = check_csv(io.BytesIO(content), TableOptions(delimiter=";"))
    assert facts.columns == ("n|m", "x", "label")


def test_a_delimiter_within_quotes_is_none() -> None:
    facts = check_csv(io.BytesIO(tables.plain(header='"n;m",x,label')), BY_DEFAULT)
    assert facts.columns == ("n;m", "x", "label")


def test_blank_lines_and_line_breaks_in_cells_are_counted() -> None:
    """As line numbers in an editor."""
    content = b'\n\nn,label\n\n1,"a\n\nb"\n2,b\n\n3,c,d\n'
    reader = CsvReader(io.BytesIO(content))
    rows = iter(reader)
    assert [next(rows), next(rows)] == [(5, ["1", "a\n\nb"]), (8, ["2", "b"])]
    with pytest.raises(CsvMalformed) as caught:
        next(rows)
    assert caught.value.errors[0].loc == ("file", 10)


def test_up_to_100_ragged_rows_are_named() -> None:
    content = tables.plain(rows=[*tables.ROWS, *["1,2"] * 150])
    with pytest.raises(CsvMalformed) as caught:
        check_csv(io.BytesIO(content), BY_DEFAULT)
    assert [fault.loc for fault in caught.value.errors] == [("file", line) for line in range(42, 142)]


def test_the_largest_cell_passes() -> None:
    content = tables.with_row(f"1,2,{'a' * 131_072}")
    assert check_csv(io.BytesIO(content), BY_DEFAULT).rows == 41


@pytest.mark.parametrize(
    "limits", [CsvLimits(rows=39), CsvLimits(cells=119), CsvLimits(file_bytes=len(tables.plain()) - 1)]
)
def test_limits(limits: CsvLimits) -> None:
    with pytest.raises(PayloadTooLarge):
        check_csv(io.BytesIO(tables.plain()), BY_DEFAULT, limits)


@pytest.mark.parametrize(
    "limits", [CsvLimits(rows=40), CsvLimits(cells=120), CsvLimits(file_bytes=len(tables.plain()))]
)
def test_at_the_limits(limits: CsvLimits) -> None:
    assert check_csv(io.BytesIO(tables.plain()), BY_DEFAULT, limits).rows == 40


OPTIONS: dict[str, tuple[dict[str, Any], type[BadInput], tuple[str, ...]]] = {
    "no such target": ({"target": "y"}, TargetInvalid, ("body", "target")),
    "no such column": ({"columns": {"m": "text"}}, Invalid, ("body", "columns", "m")),
    "ignored target": ({"columns": {"label": "ignore"}}, Invalid, ("body", "columns", "label")),
    "target as a time": ({"target": "x", "columns": {"x": "datetime"}}, Invalid, ("body", "columns", "x")),
    "nothing left": ({"columns": {"n": "ignore", "x": "ignore"}}, TargetInvalid, ("body", "columns")),
}


@pytest.mark.parametrize(("options", "error", "loc"), OPTIONS.values(), ids=OPTIONS)
def test_options_that_do_not_fit_the_header(
    options: dict[str, Any], error: type[BadInput], loc: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        check_csv(io.BytesIO(tables.plain()), TableOptions(**options))
    assert caught.value.errors[0].loc == loc


def test_the_format_is_told_by_the_first_bytes() -> None:
    content = b"PAR1" + b"\0" * 40 + b"\x10\0\0\0PAR1"
    assert table_format(io.BytesIO(content)) == "parquet"
    assert check_table(io.BytesIO(content), BY_DEFAULT) == "parquet"
    file = io.BytesIO(tables.plain())
    assert check_table(file, BY_DEFAULT) == "csv"
    assert file.tell() == 0


CELLS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), width=st.integers(2, 5), delimiter=st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_is_read_back(data: st.DataObject, width: int, delimiter: str) -> None:
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow([f"c{place}" for place in range(width)])
    writer.writerows(rows)
    reader = CsvReader(io.BytesIO(buffer.getvalue().encode()), delimiter)  # type: ignore[arg-type]
    assert [row for _, row in reader] == rows


NOISE = st.binary(max_size=60) | st.text('a,"\n\r;\0ü', max_size=40).map(str.encode)


@settings(max_examples=300, deadline=None)
@given(content=NOISE)
def test_noise_is_read_or_refused_by_the_line(content: bytes) -> None:
    try:
        reader = CsvReader(io.BytesIO(content))
        rows = list(reader)
    except BadInput as error:
        places = {fault.loc[0] for fault in error.errors}
    else:
        places = {"file"} if all(len(row) == len(reader.header.columns) for _, row in rows) else {"ragged"}
    assert places == {"file"}


def test_memory_does_not_grow_with_the_file() -> None:
    file = io.BytesIO(tables.plain(rows=tables.ROWS * 20_000))
    tracemalloc.start()
    check_csv(file, BY_DEFAULT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < len(file.getvalue())
