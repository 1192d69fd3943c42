"""Tables made of columns, validated as a worker does."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.specs.tables import TableOptions
from worker.data.tables.samples import TableSamples, read_samples
from worker.data.tables.validation import TableValidation, validate_table


@dataclass
class Validated:
    found: TableValidation
    samples: TableSamples

    def kinds(self) -> dict[str, str]:
        return {column.name: column.kind for column in self.found.manifest.columns}

    def codes(self) -> list[str]:
        return [warning.code for warning in self.found.warnings]

    def message(self, code: str) -> str:
        return next(warning.message for warning in self.found.warnings if warning.code == code)

    def profile(self, name: str) -> dict[str, Any]:
        return next(column.model_dump() for column in self.found.profile.columns if column.name == name)


def csv_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode()


def validate(folder: Path, content: bytes | Mapping[str, Sequence[Any]], **options: Any) -> Validated:
    """Of a CSV file."""
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else csv_bytes(content))
    return validate_file(path, "csv", **options)


def validate_file(path: Path, kind: Any, **options: Any) -> Validated:
    output = path.with_name("samples.parquet")
    found = validate_table(
        path, format=kind, options=TableOptions(**options), output=output, progress=lambda done, total: None
    )
    return Validated(found, read_samples(output, found.manifest))
