"""What a model is asked about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import Json
from client.multipart import Multipart, Source


@dataclass(frozen=True)
class Inputs:
    """One of the three.

    Attributes:
        files: up to 64 images; or one CSV or JSON Lines file of rows or texts.
        values: up to 64 texts, or rows as objects.
        samples: `dataset_id` and, if wanted, `split` and `limit`.
    """

    files: Sequence[Source] = ()
    values: Sequence[str | Json] = ()
    samples: Json | None = None

    def to_request(self, spec: Json | None = None) -> dict[str, Any]:
        """Options of a request that asks about them.

        Raises:
            ValueError: none of the three is given, or more than one.
        """
        if sum(map(bool, (self.files, self.values, self.samples))) != 1:
            raise ValueError("Give files, or values, or samples of a dataset.")
        if self.files:
            return {"multipart": Multipart(self.files, spec=spec)}
        body = {"inputs": list(self.values)} if self.values else dict(self.samples or {})
        return {"json": {**body, **(spec or {})}}


def read_rows(texts: Sequence[str]) -> list[Json]:
    """Rows from JSON objects; `@file` reads one from a file.

    Raises:
        ValueError: one is no JSON object.
        OSError: a file cannot be read.
    """
    rows = []
    for text in texts:
        row = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
        if not isinstance(row, dict):
            raise ValueError(f"a row is a JSON object, not {text!r}")
        rows.append(row)
    return rows
