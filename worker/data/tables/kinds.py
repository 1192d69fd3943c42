"""Deciding what a column's text is, and reading it as that."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, Invalid
from service.specs.archive_paths import show_path
from service.specs.cell_values import is_code, parse_boolean, parse_number, parse_switch, parse_time
from service.specs.tables import ColumnKind
from worker.data.tables.cells import Cells, NumberCells, RawTable, TextCells

TEXT_WORDS = 3.0
"""Free text has so many words a value, in the mean over its distinct values."""
TEXT_DISTINCT = 0.5
"""… and more distinct values than this share of the rows that have one."""
ID_DISTINCT = 0.95
"""A column with more distinct values than this share of its rows names rows."""


def infer_kind(cells: Cells) -> ColumnKind | None:
    """The kind of a column; None where it has no value at all.

    Numeric, boolean or datetime only if every value reads as such; digits with leading zeros are no numbers. Other
    text is `text` where it is wordy and mostly distinct, else categorical.
    """
    if isinstance(cells, NumberCells):
        return cells.kind if cells.present.any() else None
    texts = cells.texts
    if not texts:
        return None
    if _all(texts, parse_number):
        return "categorical" if any(map(is_code, texts)) else "numeric"
    if _all(texts, parse_boolean):
        return "boolean"
    if _all(texts, parse_time):
        return "datetime"
    words = sum(len(text.split()) for text in texts) / len(texts)
    return "text" if words >= TEXT_WORDS and distinct_share(cells) > TEXT_DISTINCT else "categorical"


def distinct_share(cells: TextCells) -> float:
    """Distinct values to rows that have one; 0 of none."""
    return len(cells.texts) / max(1, int(cells.present.sum()))


def names_rows(cells: TextCells) -> bool:
    """Whether nearly every row has a value of its own: what is learned from that holds for no other row."""
    return int(cells.present.sum()) > 1 and distinct_share(cells) >= ID_DISTINCT


def read_as(cells: Cells, kind: ColumnKind, name: str, table: RawTable) -> Cells:
    """The cells of column `name` as `kind`; finite where they are numbers.

    Raises:
        Invalid: a value is not of that kind, or not finite; `errors` names the column and the first line of such.
    """
    if isinstance(cells, NumberCells) and cells.kind == kind:
        _refuse(np.flatnonzero(np.isinf(cells.values)), name, table, ("not-finite", "is not finite"))
        return cells
    text = cells.as_text() if isinstance(cells, NumberCells) else cells
    if kind == "categorical" or kind == "text":
        return text
    parse = {"numeric": parse_number, "boolean": parse_switch, "datetime": parse_time}[kind]
    parsed = [parse(value) for value in text.texts]
    numbers = np.array([math.nan if value is None else value for value in parsed] + [math.nan])
    wrong = np.flatnonzero(np.isnan(numbers[text.codes]) & text.present)
    _refuse(wrong, name, table, ("wrong-kind", f"is not {kind}, as `columns` has it"))
    values = numbers[text.codes]
    _refuse(np.flatnonzero(np.isinf(values)), name, table, ("not-finite", "is not finite"))
    return NumberCells(kind, values)


def _refuse(rows: NDArray[np.int64], name: str, table: RawTable, rule: tuple[str, str]) -> None:
    if not len(rows):
        return
    place, words = table.place(int(rows[0]))
    code, text = rule
    more = f"; {len(rows) - 1} more rows" if len(rows) > 1 else ""
    fault = Fault((*place, show_path(name)), code, f"{words}: the value of the column {text}{more}.")
    raise Invalid(f"Column {show_path(name)}: {fault.message}", errors=[fault])


def _all(texts: Sequence[str], parse: Callable[[str], float | None]) -> bool:
    return all(parse(text) is not None for text in texts)
