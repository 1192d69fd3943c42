"""Pages of samples of tables and texts, and how little of a file a page reads."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.datasets.samples import SampleQuery, Source, list_samples
from service.specs.text_files import TextRow
from service.specs.texts import TextManifest
from service.store import Artifact, Store
from service.store.artifact_file import ArtifactFile
from service.store.artifacts import ArtifactStore
from service.store.chunks import make_chunk_storage
from tests.contracts.conftest import Api, problem
from tests.contracts.validated import add_table, add_texts
from worker.data.texts.samples import write_samples

ROWS = [(0.5, "yes", "2024-01-02", "a"), (None, "no", "2024-01-02T03:04:05.250", "b"), (-1e300, "", "", "a")]


@pytest.fixture(scope="module")
def table(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Thirty rows of every kind of column, and one that is left out."""
    lines = ["x,flag,at,word,memo,y"]
    for number in range(30):
        x, flag, at, word = ROWS[number % 3]
        lines.append(f"{'' if x is None else x},{flag},{at},{word},m{number},{number * 0.5}")
    columns = '{"memo": "ignore", "flag": "boolean", "at": "datetime", "word": "categorical"}'
    content = ("\n".join(lines) + "\n").encode()
    return add_table(api, tmp_path_factory.mktemp("table"), content, target="y", columns=columns)


@pytest.fixture(scope="module")
def texts(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    """More texts than are read at once."""
    rows = [{"text": f"text {number}", "label": "ab"[number % 2], "part": number % 5 or None} for number in range(2500)]
    return add_texts(api, tmp_path_factory.mktemp("texts"), rows)


def page(api: Api, dataset: str, query: str) -> dict[str, Any]:
    answer = api.call("GET", f"/v1/datasets/{dataset}/samples?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_cells_are_shown_as_json_has_them(api: Api, table: str) -> None:
    data = page(api, table, "limit=3")["data"]
    assert [sample["row"] for sample in data] == [
        {"x": 0.5, "flag": True, "at": "2024-01-02T00:00:00Z", "word": "a"},
        {"x": None, "flag": False, "at": "2024-01-02T03:04:05.250000Z", "word": "b"},
        {"x": -1e300, "flag": None, "at": None, "word": "a"},
    ]
    assert [(sample["label"], sample["value"]) for sample in data] == [(None, 0.0), (None, 0.5), (None, 1.0)]
    assert [sample["metadata"] for sample in data] == [{"memo": "m0"}, {"memo": "m1"}, {"memo": "m2"}]
    assert data[0]["sha256"] != data[1]["sha256"] == page(api, table, "cursor=4&limit=1")["data"][0]["sha256"]


@pytest.mark.parametrize("limit", [1, 7, 30, 200])
def test_pages_together_are_the_table(limit: int, api: Api, table: str) -> None:
    cursor, found = "0", []
    while cursor is not None:
        answer = page(api, table, f"limit={limit}&cursor={cursor}")
        found += [sample["index"] for sample in answer["data"]]
        cursor = answer["next_cursor"]
    assert found == list(range(30))


def test_a_page_may_lie_across_groups_of_rows(api: Api, texts: str) -> None:
    data = page(api, texts, "cursor=1000&limit=200")["data"]
    assert [sample["text"] for sample in data] == [f"text {number}" for number in range(1000, 1200)]
    assert data[0] == {"index": 1000, "text": "text 1000", "label": "a", "sha256": data[0]["sha256"],
                       "metadata": {"part": None}}  # fmt: skip
    assert data[1]["metadata"] == {"part": "1"}
    assert page(api, texts, "cursor=2499&limit=5")["next_cursor"] is None
    assert page(api, texts, "cursor=9999&limit=5") == {"data": [], "next_cursor": None}


class Counting(ArtifactStore):
    """Counts the bytes that are asked for."""

    asked = 0

    def read(self, artifact: Artifact, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        self.asked += (artifact.size_bytes if stop is None else stop) - start
        return super().read(artifact, start, stop)


def test_a_page_reads_the_groups_that_it_lies_in(sqlite_store: Store, tmp_path: Path) -> None:
    generator = random.Random(1)
    rows = [TextRow(number + 1, f"{generator.random()} {generator.random()}", "a", {}) for number in range(20_000)]
    write_samples(tmp_path / "samples.parquet", rows, [])
    artifacts = Counting(sqlite_store.engine, make_chunk_storage(sqlite_store.engine, "sql:"))
    samples = artifacts.write((tmp_path / "samples.parquet").read_bytes(), "application/vnd.apache.parquet")
    document = TextManifest(text="text", target="label", classes=["a"], samples=len(rows)).model_dump_json().encode()
    source = Source("text", artifacts.write(document, "application/json"), samples)
    found = list_samples(artifacts, source, SampleQuery(None, 10, 17_000))
    assert [one.text for one in found.data] == [row.text for row in rows[17_000:17_010]]
    assert samples.size_bytes > 1_000_000
    assert artifacts.asked < samples.size_bytes / 5


def test_rows_and_texts_have_no_splits(api: Api, table: str, texts: str) -> None:
    for dataset in (table, texts):
        answer = api.call("GET", f"/v1/datasets/{dataset}/samples?split=train")
        assert problem(answer, 422, "validation")["errors"][0]["loc"] == ["query", "split"]
    assert page(api, api.ours.ids["dataset_id"], "split=train")["data"] == []


def test_samples_wait_for_validation(api: Api) -> None:
    dataset = api.upload(b"n,label\n" + b"".join(f"{n},{'ab'[n % 2]}\n".encode() for n in range(12)),
                         modality="tabular").json()["id"]  # fmt: skip
    problem(api.call("GET", f"/v1/datasets/{dataset}/samples"), 409, "conflict")


def test_stored_bytes_can_be_read_like_a_file(api: Api, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # over more than two chunks
    artifact = api.store.artifacts.write(content, "application/octet-stream")
    file = ArtifactFile(api.store.artifacts, artifact)
    assert (file.seek(-6, 2), file.read(), file.read(3), file.tell()) == (
        len(content) - 6,
        content[-6:],
        b"",
        len(content),
    )
    file.seek(1_048_570)
    assert file.read(20) == content[1_048_570:1_048_590]
    assert (file.seek(-10, 1), file.read(10)) == (1_048_580, content[1_048_580:1_048_590])
    file.seek(0)
    assert file.read() == content
