"""`samples.parquet` of a text dataset: written by validation, read by trials and explanations."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from service.specs.sample_columns import CLASS, DIGEST, TEXT
from service.specs.sample_rows import read_rows
from service.specs.text_files import TextRow
from service.specs.texts import TextManifest
from worker.data.row_groups import row_groups

_GROUP_ROWS = 1024


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
    schema = pa.schema([(name, pa.string()) for name in (TEXT, CLASS, DIGEST, *columns)])
    text_bytes = [sum(len(value.encode()) for value in _said(row, columns) if value) for row in rows]
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in row_groups(np.array(text_bytes, dtype=np.int64), _GROUP_ROWS):
            texts, labels, *others = zip(*(_said(row, columns) for row in rows[part]), strict=True)
            cells = (texts, labels, [digest_of(text) for text in texts], *others)
            writer.write_table(pa.table([pa.array(column, pa.string()) for column in cells], schema=schema))


def _said(row: TextRow, columns: Sequence[str]) -> list[Any]:
    """Text, label, and the other columns."""
    return [row.text, row.label, *(row.others.get(name) for name in columns)]


def read_texts(path: Path, manifest: TextManifest) -> TextSamples:
    """The samples that validation wrote."""
    found = pq.read_table(path)
    return TextSamples(
        texts=found.column(TEXT).to_pylist(),
        classes=found.column(CLASS).to_pylist(),
        digests=found.column(DIGEST).to_pylist(),
        columns={name: found.column(name).to_pylist() for name in manifest.columns},
    )


def read_chosen_texts(path: Path, places: Sequence[int]) -> tuple[list[str], list[str]]:
    """The texts at `places`, in that order, and their digests; of the others no more than shares a group with them.

    Raises:
        IndexError: there is no such sample.
    """
    with pq.ParquetFile(path) as file:
        found = read_rows(file, places, [TEXT, DIGEST])
    return found.column(TEXT).to_pylist(), found.column(DIGEST).to_pylist()
