"""`samples.parquet` of a text dataset: written by validation, read by trials and explanations."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.specs.sample_columns import CLASS, DIGEST, TEXT
from service.specs.text_files import TextRow
from service.specs.texts import TextManifest

_GROUP_ROWS = 1024
"""Of a row group, which the API reads whole to show a page of samples."""


@dataclass(frozen=True)
class TextSamples:
    """A validated dataset, in the order of the upload.

    Attributes:
        digests: SHA-256 of each text, its white space apart: equal ones go to one split together.
        columns: the upload's other columns, None where a row has no value.
    """

    texts: list[str]
    classes: list[str]
    digests: list[str]
    columns: dict[str, list[str | None]]

    def __len__(self) -> int:
        """Texts."""
        return len(self.texts)


def digest_of(text: str) -> str:
    """SHA-256 of the words: texts that differ in white space only are the same to every tokenizer here."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def write_samples(path: Path, rows: Sequence[TextRow], columns: Sequence[str]) -> None:
    """Writes rows that have a label."""
    table = {
        TEXT: [row.text for row in rows],
        CLASS: [row.label for row in rows],
        DIGEST: [digest_of(row.text) for row in rows],
    } | {name: [row.others.get(name) for row in rows] for name in columns}
    schema = pa.schema([(name, pa.string()) for name in table])
    pq.write_table(pa.Table.from_pydict(table, schema=schema), path, compression="zstd", row_group_size=_GROUP_ROWS)


def read_texts(path: Path, manifest: TextManifest) -> TextSamples:
    """The samples that validation wrote."""
    found = pq.read_table(path)
    return TextSamples(
        texts=found.column(TEXT).to_pylist(),
        classes=found.column(CLASS).to_pylist(),
        digests=found.column(DIGEST).to_pylist(),
        columns={name: found.column(name).to_pylist() for name in manifest.columns},
    )
