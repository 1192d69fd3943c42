"""What an upload must be by its modality before it is accepted, and what is kept of its form."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from service.errors import Fault, Invalid, MalformedJson
from service.problems import invalid_body
from service.routing import parse_json
from service.specs.archive_metadata import check_archive
from service.specs.datasets import Modality
from service.specs.table_files import check_table
from service.specs.tables import TableOptions
from service.specs.text_files import TextColumns, check_texts, text_format
from service.specs.texts import TextOptions

T = TypeVar("T")
FIELDS: dict[Modality, tuple[str, ...]] = {
    "image": (),
    "text": ("target", "text"),
    "tabular": ("target", "columns", "delimiter"),
}
"""Form fields that only some modalities have."""
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True)
class Upload:
    """An upload's file and form fields; `said` are those of `FIELDS` that were sent, `columns` as JSON text."""

    file: IO[bytes]
    modality: Modality
    name: str | None = None
    metadata: str | None = None
    said: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Structure:
    """What is known of a file that may be accepted."""

    media_type: str
    options: dict[str, Any] = field(default_factory=dict)
    ignored_files: int = 0


def check_upload(upload: Upload) -> Structure:
    """Checks the form's fields, then the file's structure; leaves the file at its start.

    Raises:
        Invalid: a field is not valid, or not of this modality.
        UnsupportedMediaType, ArchiveError, DatasetTooSmall, TargetInvalid: as `list_images`.
        CsvMalformed, DuplicateColumn, PayloadTooLarge: as `check_table`, `check_texts`, `read_metadata`.
    """
    foreign = [name for name in upload.said if name not in FIELDS[upload.modality]]
    if foreign:
        own = ", ".join(FIELDS[upload.modality]) or "no such fields"
        rule = f"not for modality {upload.modality}, which has {own}"
        faults = [Fault(("body", name), "other-modality", rule) for name in foreign]
        raise Invalid(f"{len(foreign)} field(s) do not go with the modality: {', '.join(foreign)}.", errors=faults)
    found = CHECKS[upload.modality](upload)
    upload.file.seek(0)
    return found


def _images(upload: Upload) -> Structure:
    return Structure("application/zip", ignored_files=check_archive(upload.file).ignored_files)


def _table(upload: Upload) -> Structure:
    said: dict[str, Any] = dict(upload.said)
    if "columns" in said:
        said["columns"] = read_json(said["columns"], "columns")
    options = checked(TypeAdapter(TableOptions), said)
    format = check_table(upload.file, options)
    if format == "parquet" and options.delimiter is not None:
        fault = Fault(("body", "delimiter"), "other-format", "only CSV files have a delimiter; this one is Parquet")
        raise Invalid("The delimiter does not go with the file.", errors=[fault])
    return Structure(MEDIA_TYPES[format], {**options.model_dump(), "format": format})


def _texts(upload: Upload) -> Structure:
    options = checked(TypeAdapter(TextOptions), dict(upload.said))
    check_texts(upload.file, TextColumns(options.text, options.target))
    return Structure(MEDIA_TYPES[text_format(upload.file)], options.model_dump())


CHECKS: dict[Modality, Callable[[Upload], Structure]] = {"image": _images, "text": _texts, "tabular": _table}


def read_json(text: str, name: str) -> object:
    """The value of a form field; raises `Invalid`."""
    try:
        return parse_json(text.encode())
    except (MalformedJson, UnicodeError) as error:
        fault = Fault(("body", name), "json", "not valid JSON")
        raise Invalid(f"{name} is not valid JSON.", errors=[fault]) from error


def checked(adapter: TypeAdapter[T], value: object, *place: str) -> T:
    """The value as the type wants it; raises `Invalid` that names the form's field."""
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise invalid_body(error, *place) from error
