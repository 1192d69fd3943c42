"""Writing CSV that no spreadsheet takes for a program (OWASP, "CSV Injection"; CVE-2021-41270)."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence

from service.specs.cell_values import number_text, parse_number

Cell = str | float | bool | None
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What may begin a formula; the last four are = + - @ in full width, which some spreadsheets take for the same."""


def guard(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet could take it for a formula; plain numbers stay."""
    return f"'{text}" if text.startswith(_DANGEROUS) and parse_number(text) is None else text


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The lines of a CSV file (RFC 4180): the header, then the rows.

    Text, that of the header too, goes through `guard`. Numbers are written so that they read back as the same;
    booleans as true and false, None as nothing.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # CR LF, quotes where they are needed
    for row in itertools.chain([columns], rows):
        writer.writerow([_written(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return guard(cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return number_text(float(cell)) if isinstance(cell, float) else str(cell)
