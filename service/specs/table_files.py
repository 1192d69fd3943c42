"""What an uploaded table must be before it is accepted, found without reading a value.

Used by the API before an upload is accepted; the control worker reads the same files by `csv_reader` and, for
Parquet, in a child process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Literal

from service.errors import DatasetTooSmall, Fault, Invalid, PayloadTooLarge, TargetInvalid, UnsupportedMediaType
from service.specs.archive_paths import show_path
from service.specs.csv_reader import DEFAULT_LIMITS, CsvLimits, CsvReader
from service.specs.tables import MIN_ROWS, Delimiter, TableOptions

TableFormat = Literal["csv", "parquet"]
PARQUET_MAGIC = b"PAR1"
ENCRYPTED_MAGIC = b"PARE"
MAX_FOOTER_BYTES = 64 * 1024**2
_FOREIGN = (
    *(b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"),  # packed
    *(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),  # saved models
    *(b"ARROW1", b"ORC", b"\xd0\xcf\x11\xe0", b"%PDF", b"SQLite format 3", b"\x89HDF"),
    *(b"\x89PNG", b"\xff\xd8\xff", b"\x7fELF"),
)


@dataclass(frozen=True)
class CsvFacts:
    """What is known of a CSV file once its structure is checked."""

    columns: tuple[str, ...]
    delimiter: Delimiter
    rows: int
    target: str


def table_format(file: IO[bytes]) -> TableFormat:
    """By the first bytes; leaves the file at its start.

    Raises:
        UnsupportedMediaType: an archive, a compressed or an office file, a picture, a saved model.
    """
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if head.startswith(ENCRYPTED_MAGIC):
        raise UnsupportedMediaType("The Parquet file is encrypted.")
    if head.startswith(_FOREIGN):
        raise UnsupportedMediaType("Tables are taken as CSV or Parquet, neither packed nor compressed as a whole.")
    return "parquet" if head.startswith(PARQUET_MAGIC) else "csv"


def check_table(file: IO[bytes], options: TableOptions, limits: CsvLimits = DEFAULT_LIMITS) -> TableFormat:
    """Checks an upload's structure, whichever of the two it is; leaves the file at its start.

    Raises:
        UnsupportedMediaType: neither CSV nor Parquet.
        CsvMalformed, DuplicateColumn, TargetInvalid, Invalid, DatasetTooSmall, PayloadTooLarge: as `check_csv`.
    """
    found = table_format(file)
    if found == "csv":
        check_csv(file, options, limits)
    else:
        check_parquet(file, limits)
    file.seek(0)
    return found


def check_csv(file: IO[bytes], options: TableOptions, limits: CsvLimits = DEFAULT_LIMITS) -> CsvFacts:
    """Reads the file once, in bounded memory.

    Raises:
        CsvMalformed, DuplicateColumn: as `CsvReader`.
        TargetInvalid, Invalid: as `check_columns`.
        DatasetTooSmall: fewer than `MIN_ROWS` rows.
        PayloadTooLarge: beyond `limits`.
    """
    _check_size(file, limits)
    reader = CsvReader(file, options.delimiter, limits)
    target = check_columns(reader.header.columns, options)
    rows = sum(1 for _ in reader)
    check_row_count(rows)
    return CsvFacts(reader.header.columns, reader.header.delimiter, rows, target)


def check_parquet(file: IO[bytes], limits: CsvLimits = DEFAULT_LIMITS) -> None:
    """Magic at both ends and a footer that can be there; the footer itself is parsed in the worker's child process.

    Raises:
        UnsupportedMediaType: no Parquet file, cut short, or with an encrypted footer.
        PayloadTooLarge: beyond `limits`.
    """
    size = _check_size(file, limits)
    if size < 12 or file.read(4) != PARQUET_MAGIC:
        raise UnsupportedMediaType("The file is no Parquet file.")
    file.seek(size - 8)
    length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
    if magic == ENCRYPTED_MAGIC:
        raise UnsupportedMediaType("The Parquet file is encrypted.")
    if magic != PARQUET_MAGIC or not 0 < length <= min(size - 12, MAX_FOOTER_BYTES):
        raise UnsupportedMediaType("The Parquet file is cut short or damaged at its end.")


def check_columns(columns: Sequence[str], options: TableOptions) -> str:
    """The target: the one asked for, or the last column.

    Raises:
        TargetInvalid: there is no such column, or no other column to learn it from.
        Invalid: `columns` names one that is not there, or does not fit the target.
    """
    target = options.target if options.target is not None else columns[-1]
    if target not in columns:
        fault = Fault(("body", "target"), TargetInvalid.slug, "The table has no column of this name.")
        raise TargetInvalid("The target is not a column of the table.", errors=[fault])
    unknown = [name for name in options.columns if name not in set(columns)]
    if unknown:
        faults = [Fault(("body", "columns", show_path(name)), "unknown-column", "no such column") for name in unknown]
        raise Invalid("`columns` names columns that the table does not have.", errors=faults[:100])
    if options.columns.get(target) in ("ignore", "datetime"):
        fault = Fault(
            ("body", "columns", show_path(target)), "target-kind", "the target is learned as a class or number"
        )
        raise Invalid("The target can be neither ignored nor a time.", errors=[fault])
    if all(name == target or options.columns.get(name) == "ignore" for name in columns):
        fault = Fault(("body", "columns"), TargetInvalid.slug, "No column is left to learn the target from.")
        raise TargetInvalid("There is no feature beside the target.", errors=[fault])
    return target


def check_row_count(rows: int) -> None:
    """Raises `DatasetTooSmall` below `MIN_ROWS`."""
    if rows < MIN_ROWS:
        raise DatasetTooSmall(f"The table has {rows} rows; at least {MIN_ROWS} are needed.")


def _check_size(file: IO[bytes], limits: CsvLimits) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    if size > limits.file_bytes:
        raise PayloadTooLarge(f"At most {limits.file_bytes} bytes are taken as a table.")
    return size
