"""Uploads of a contract test, looked through in process as the control worker does."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.specs.tables import TableOptions
from service.specs.text_files import TextColumns
from service.store.datasets import MANIFEST, SAMPLES
from tests.contracts.conftest import Api
from worker.backbones.sources import WeightSources
from worker.data.tables.validation import validate_table
from worker.data.texts.validation import validate_texts


def add_table(api: Api, folder: Path, content: bytes, **fields: str) -> str:
    """A ready dataset of a CSV file."""
    return _add(api, folder, content, modality="tabular", **fields)


def add_texts(api: Api, folder: Path, rows: Sequence[Mapping[str, Any]], **fields: str) -> str:
    """A ready dataset of JSON Lines."""
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return _add(api, folder, content, modality="text", **fields)


def _add(api: Api, folder: Path, content: bytes, **fields: str) -> str:
    answer = api.upload(content, name="upload", **fields)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    path, samples = folder / "upload", folder / "samples.parquet"
    path.write_bytes(content)
    found: Any
    if fields["modality"] == "tabular":
        options = {name: value for name, value in body["options"].items() if name != "format"}
        found = validate_table(path, format="csv", options=TableOptions(**options), output=samples, progress=silent)
    else:
        found = validate_texts(
            path, TextColumns(**body["options"]), output=samples, sources=WeightSources(), progress=silent
        )
    stored = {
        MANIFEST: api.store.artifacts.write(found.manifest.model_dump_json().encode(), "application/json"),
        SAMPLES: api.store.artifacts.write(samples.read_bytes(), "application/vnd.apache.parquet"),
    }
    with api.store.work() as work:
        row = work.datasets.get(body["id"])
        row.state, row.profile = "ready", found.profile.model_dump()
        work.artifacts.attach(stored, row.id)
    dataset_id: str = body["id"]
    return dataset_id


def silent(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""
