"""`metadata.csv` of an image archive: what its owner knows of each image beside the class.

As Hugging Face's ImageFolder has it (https://huggingface.co/docs/datasets/image_dataset): the column `file_name` is
an image's path, seen from where `metadata.csv` lies; all other columns are free. UTF-8, comma, RFC 4180, a header.
An empty cell is no value. Not every image needs a row.
"""

import csv
import io
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from service.errors import BadInput, CsvMalformed, DuplicateColumn, Fault, ImageCorrupt
from service.specs.archive_layout import METADATA_FILE
from service.specs.archives import DEFAULT_LIMITS, MAX_FAULTS, ArchiveLimits, ArchiveListing, list_images, read_entry

FILE_NAME = "file_name"
MAX_COLUMNS = 64
MAX_COLUMN_NAME = 200
MAX_CELL = 1000


@dataclass(frozen=True)
class ImageMetadata:
    """The free columns, and their values by an image's path in the archive."""

    columns: tuple[str, ...]
    values: Mapping[str, list[str | None]]


def check_archive(file: IO[bytes], limits: ArchiveLimits = DEFAULT_LIMITS) -> ArchiveListing:
    """As `list_images`, and reads `metadata.csv`; raises as `list_images` and `read_metadata`."""
    listing = list_images(file, limits)
    if listing.metadata_path is not None:
        with zipfile.ZipFile(file) as archive:
            read_metadata(archive, listing, limits)
    return listing


def read_metadata(
    archive: zipfile.ZipFile, listing: ArchiveListing, limits: ArchiveLimits = DEFAULT_LIMITS
) -> ImageMetadata:
    """The metadata of an archive that `list_images` has passed; without columns if it has none.

    Raises:
        CsvMalformed: a line breaks a rule, or the file cannot be unpacked; `errors` names up to 100 lines.
        DuplicateColumn: two columns have one name.
        ArchiveBomb: as `read_entry`.
    """
    if listing.metadata_path is None:
        return ImageMetadata((), {})
    try:
        content = read_entry(archive, listing.metadata_path, limits)
    except ImageCorrupt as error:
        raise CsvMalformed(f"{METADATA_FILE} cannot be unpacked.") from error
    folder = listing.metadata_path.removesuffix(METADATA_FILE)
    paths = {_composed(entry.path.removeprefix(folder)): entry.path for entry in listing.entries}
    return parse_metadata(content, paths)


def parse_metadata(content: bytes, paths: Mapping[str, str]) -> ImageMetadata:
    """The metadata in a CSV file.

    Args:
        content: the file.
        paths: what `file_name` may say (NFC) → the path in the archive.

    Raises:
        CsvMalformed, DuplicateColumn: as `read_metadata`.
    """
    rows = _rows(content)
    _, header = next(rows, (1, []))
    _check_header(header)
    key = header.index(FILE_NAME)
    values: dict[str, list[str | None]] = {}
    faults: list[Fault] = []
    for line, row in rows:
        path = paths.get(_composed(row[key])) if len(row) > key else None
        if rule := _broken_rule(row, header, path, values):
            faults.append(_fault(line, rule))
            if len(faults) == MAX_FAULTS:
                break
        elif path is not None:
            values[path] = [cell or None for place, cell in enumerate(row) if place != key]
    if faults:
        raise _error(CsvMalformed, faults)
    return ImageMetadata(tuple(name for name in header if name != FILE_NAME), values)


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line that they end on; empty lines are passed over."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(
            CsvMalformed, [_fault(content.count(b"\n", 0, error.start) + 1, "the text is not UTF-8")]
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        rule = "quotes are not used as in RFC 4180, or a cell is endless"
        raise _error(CsvMalformed, [_fault(max(1, reader.line_num), rule)]) from error


def _check_header(header: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise _error(CsvMalformed, [_fault(1, f"there are more than {MAX_COLUMNS} columns")])
    if FILE_NAME not in header:
        raise _error(CsvMalformed, [_fault(1, f"the header has no column {FILE_NAME}")])
    for place, name in enumerate(header, start=1):
        if not name or name != name.strip() or len(name) > MAX_COLUMN_NAME or "\0" in name:
            rule = f"the name of column {place} is empty, longer than {MAX_COLUMN_NAME} characters or begins or ends"
            raise _error(CsvMalformed, [_fault(1, f"{rule} with a space")])
    twins = [place for place, name in enumerate(header, start=1) if name in header[: place - 1]]
    if twins:
        raise _error(DuplicateColumn, [_fault(1, f"column {place} has the name of one before it") for place in twins])


def _broken_rule(row: Sequence[str], header: Sequence[str], path: str | None, seen: Mapping[str, object]) -> str | None:
    if len(row) != len(header):
        return f"the row has {len(row)} cells, the header has {len(header)}"
    for place, cell in enumerate(row, start=1):
        if len(cell) > MAX_CELL or "\0" in cell:
            return f"cell {place} is longer than {MAX_CELL} characters or contains NUL"
    if path is None:
        return f"{FILE_NAME} is not the path of an image in the archive"
    if path in seen:
        return "the image has a row already"
    return None


def _fault(line: int, rule: str) -> Fault:
    return Fault(("file", METADATA_FILE, line), "csv", f"Line {line}: {rule}.")


def _error(error: type[BadInput], faults: Sequence[Fault]) -> BadInput:
    return error(f"{METADATA_FILE}: {faults[0].message}", errors=faults)


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)
