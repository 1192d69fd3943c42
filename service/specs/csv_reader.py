"""CSV files row by row: RFC 4180 in UTF-8, with a header; in bounded memory, and nothing guessed.

The one reader of CSV: what the API has checked is what validation reads. Lengths are checked here, since
`csv.field_size_limit` belongs to the whole process.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from service.errors import CsvMalformed, DuplicateColumn, Fault, PayloadTooLarge
from service.specs.tables import Delimiter

MAX_FAULTS = 100
MAX_COLUMN_NAME = 200
DELIMITERS: Final[tuple[Delimiter, ...]] = (",", ";", "\t", "|")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class CsvLimits:
    """How much a file may hold; a row's bytes are those of all lines that it covers."""

    file_bytes: int = 2 * 1024**3
    rows: int = 5_000_000
    columns: int = 2000
    cells: int = 200_000_000
    row_bytes: int = 4 * 1024**2
    field_bytes: int = 128 * 1024


DEFAULT_LIMITS = CsvLimits()


@dataclass(frozen=True)
class CsvHeader:
    """The columns of a file and what separates them."""

    columns: tuple[str, ...]
    delimiter: Delimiter


class CsvReader:
    """A CSV file's header, and its rows with the number of the line that each begins on (from 1).

    Lines without a character are passed over. A quote opens a cell only at its start; a line break within quotes
    belongs to the cell. Without a declared delimiter the header decides: the only one of `DELIMITERS` that occurs in
    it outside quotes; a comma if none does.

    Raises, also while iterating:
        CsvMalformed: a rule is broken; `errors` names the line.
        DuplicateColumn: two columns have one name.
        PayloadTooLarge: more rows or cells than `limits` allows.
    """

    def __init__(self, file: IO[bytes], delimiter: Delimiter | None = None, limits: CsvLimits = DEFAULT_LIMITS) -> None:
        self._file = file
        self._limits = limits
        self._line = 0
        self._row_line = 0
        self._row_bytes = 0
        first = self._next_line()
        while first and not first.strip("\r\n"):
            self._row_line, self._row_bytes = 0, 0
            first = self._next_line()
        chosen = delimiter or _infer(first)
        self._reader = csv.reader(self._lines(first), delimiter=chosen, strict=True)
        _, names = next(self._parsed(), (1, []))
        check_header(names, limits.columns)
        self.header = CsvHeader(tuple(names), chosen)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """The rows after the header, each as long as the header."""
        width = len(self.header.columns)
        most = min(self._limits.rows, self._limits.cells // width)
        faults: list[Fault] = []
        for count, (line, row) in enumerate(self._parsed(), start=1):
            if count > most:
                raise PayloadTooLarge(f"The table has more than {most} rows.")
            if len(row) != width:
                faults.append(line_fault(line, f"the row has {len(row)} cells, the header has {width}"))
                if len(faults) == MAX_FAULTS:
                    break
            elif not faults:
                yield line, row
        if faults:
            raise malformed(faults)

    def _parsed(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            self._row_line, self._row_bytes = 0, 0
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise malformed([line_fault(max(1, self._row_line), _rule_of(error))]) from error
            if self._row_bytes > self._limits.field_bytes:
                self._check_lengths(row)
            if row:
                yield self._row_line, row

    def _lines(self, first: str) -> Iterator[str]:
        self._row_line, self._row_bytes = self._line, len(first)
        line = first
        while line:
            yield line
            line = self._next_line()

    def _next_line(self) -> str:
        """The next line with its end; empty at the end of the file."""
        line = self._file.readline(self._limits.row_bytes + 1)
        if not line:
            return ""
        self._line += 1
        if self._line == 1:
            if line.startswith(_WIDE_MARKS):
                raise malformed([line_fault(1, "the text is UTF-16; save it as UTF-8")])
            line = line.removeprefix(BYTE_ORDER_MARK) or b"\n"
        self._row_line = self._row_line or self._line
        self._row_bytes += len(line)
        if self._row_bytes > self._limits.row_bytes:
            rule = f"the row is longer than {self._limits.row_bytes} bytes, or a quote is never closed"
            raise malformed([line_fault(self._row_line, rule)])
        if b"\0" in line:
            raise malformed([line_fault(self._line, "there is a NUL; the text is not UTF-8, or no text")])
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise malformed([line_fault(self._line, "the text is not UTF-8")]) from error

    def _check_lengths(self, row: Sequence[str]) -> None:
        for place, cell in enumerate(row, start=1):
            if len(cell.encode()) > self._limits.field_bytes:
                rule = f"cell {place} is longer than {self._limits.field_bytes} bytes"
                raise malformed([line_fault(self._row_line, rule)])


def check_header(names: Sequence[str], most: int) -> None:
    """Names must be there, printable, unique, not padded, not longer than `MAX_COLUMN_NAME` characters.

    Raises:
        CsvMalformed, DuplicateColumn: naming the places of the columns.
    """
    if not names:
        raise malformed([line_fault(1, "there is no header")])
    if len(names) > most:
        raise malformed([line_fault(1, f"there are more than {most} columns")])
    faults = [
        line_fault(1, f"the name of column {place} is empty, padded, unprintable or longer than {MAX_COLUMN_NAME}")
        for place, name in enumerate(names, start=1)
        if not name or name != name.strip() or len(name) > MAX_COLUMN_NAME or not name.isprintable()
    ]
    if faults:
        raise malformed(faults)
    first: dict[str, int] = {}
    twins = [
        line_fault(1, f"column {place} has the name of column {first[name]}")
        for place, name in enumerate(names, start=1)
        if first.setdefault(name, place) != place
    ]
    if twins:
        raise DuplicateColumn(twins[0].message, errors=twins[:MAX_FAULTS])


def _infer(header: str) -> Delimiter:
    """The delimiter that the header shows outside quotes."""
    bare = "".join(header.split('"')[::2])
    found = [delimiter for delimiter in DELIMITERS if delimiter in bare]
    if len(found) > 1:
        rule = "the header contains more than one of , ; tab |: say which one separates columns by `delimiter`"
        raise malformed([line_fault(1, rule)])
    return found[0] if found else ","


def _rule_of(error: csv.Error) -> str:
    text = str(error)
    if "field limit" in text:
        return "a cell is longer than 128 KiB, or a quote is never closed"
    if "unexpected end" in text:
        return "a quote is never closed"
    if "new-line" in text:
        return "a carriage return stands alone; lines end with LF or CR LF"
    return "quotes are not used as in RFC 4180"


def line_fault(line: int, rule: str) -> Fault:
    """A broken rule at one line of the upload."""
    return Fault(("file", line), CsvMalformed.slug, f"Line {line}: {rule}.")


def malformed(faults: Sequence[Fault]) -> CsvMalformed:
    """The error of up to `MAX_FAULTS` lines, in the words of the first."""
    return CsvMalformed(faults[0].message, errors=faults[:MAX_FAULTS])
