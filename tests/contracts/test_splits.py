"""Splits by a column: what an upload and a job are refused for, and what a dataset says of its columns."""

import io
from pathlib import Path
from typing import Any

import pytest

from service.specs.datasets import ImageProfile
from service.store.datasets import MANIFEST
from service.store.tables import DatasetRow
from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec
from tests.corpora import pets
from tests.corpora.zip_writer import Part, write_zip
from worker.data.image_validation import validate_images

ROWS = "".join(f"{part.path},p{place // 3},2024-01-{place + 1:02d},x\n" for place, part in enumerate(pets.parts()[:-1]))
METADATA = Part("metadata.csv", f"file_name,patient,taken,camera\n{ROWS}".encode())


@pytest.fixture(scope="module")
def dataset(api: Api, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ready dataset of twelve images, the last of which has no row; validated as the worker does."""
    content = write_zip([*pets.parts(), METADATA])
    answer = api.upload(content)
    assert answer.status_code == 201, answer.text
    dataset_id: str = answer.json()["id"]
    path: Path = tmp_path_factory.mktemp("upload") / "pets.zip"
    path.write_bytes(content)
    found = validate_images(path, progress=lambda _done, _total: None)
    listing = api.store.artifacts.write(io.BytesIO(found.manifest.model_dump_json().encode()), "application/json")
    with api.store.work() as work:
        row: DatasetRow = work.datasets.get(dataset_id)
        row.state, row.profile = "ready", found.profile.model_dump()
        work.artifacts.attach({MANIFEST: listing}, dataset_id)
    return dataset_id


def submit(api: Api, dataset: str, **split: Any) -> Any:
    return api.call("POST", "/v1/jobs?dry_run=true", json=job_spec(dataset, split=split))


def test_the_profile_lists_the_columns(api: Api, dataset: str) -> None:
    profile = ImageProfile.model_validate(api.call("GET", f"/v1/datasets/{dataset}").json()["profile"])
    found = [(column.name, column.distinct, column.missing) for column in profile.columns]
    assert found == [("patient", 4, 1), ("taken", 11, 1), ("camera", 1, 1)]
    assert [column.first_without_time for column in profile.columns] == ["cat/0.png", "dog/5.png", "cat/0.png"]


def test_samples_show_their_values(api: Api, dataset: str) -> None:
    samples = api.call("GET", f"/v1/datasets/{dataset}/samples").json()["data"]
    assert samples[0]["metadata"] == {"patient": "p0", "taken": "2024-01-01", "camera": "x"}
    assert samples[-1]["metadata"] == {"patient": None, "taken": None, "camera": None}
    others = api.call("GET", f"/v1/datasets/{api.ours.ids['dataset_id']}/samples").json()["data"]
    assert others[0]["metadata"] == {}


def test_a_group_is_taken(api: Api, dataset: str) -> None:
    answer = submit(api, dataset, strategy="group", group_column="patient")
    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["split"]["group_column"] == "patient"


REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "group without column": ({"strategy": "group"}, "validation", "group_column", "strategy is 'group'"),
    "column without group": ({"group_column": "patient"}, "validation", "group_column", "strategy is 'group'"),
    "time without column": ({"strategy": "time"}, "validation", "time_column", "strategy is 'time'"),
    "column without time": (
        {"strategy": "random", "time_column": "taken"}, "validation", "time_column", "strategy is 'time'"
    ),
    "an empty name": ({"strategy": "group", "group_column": ""}, "validation", "group_column", "at least 1 character"),
    "no such column": ({"strategy": "group", "group_column": "owner"}, "target-invalid", "group_column", "patient"),
    "file_name": ({"strategy": "group", "group_column": "file_name"}, "target-invalid", "group_column", "patient"),
    "one value": ({"strategy": "group", "group_column": "camera"}, "target-invalid", "group_column", "3 groups"),
    "a hole in time": ({"strategy": "time", "time_column": "taken"}, "target-invalid", "time_column", "dog/5.png"),
    "no times": ({"strategy": "time", "time_column": "patient"}, "target-invalid", "time_column", "cat/0.png"),
}  # fmt: skip


@pytest.mark.parametrize(("split", "slug", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_the_field_and_the_rule_are_named(
    split: dict[str, Any], slug: str, field: str, words: str, api: Api, dataset: str
) -> None:
    document = problem(submit(api, dataset, **split), 422, slug)
    (fault,) = document["errors"]
    assert fault["loc"] == ["body", "split", field]
    assert words in fault["message"]


def test_an_unknown_strategy_is_one_fault(api: Api, dataset: str) -> None:
    document = problem(submit(api, dataset, strategy="clever", group_column="patient"), 422, "validation")
    assert [fault["loc"] for fault in document["errors"]] == [["body", "split", "strategy"]]


@pytest.mark.parametrize(
    ("text", "slug"), [("name,a\n", "csv-malformed"), ("file_name,a\ncat/77.png,1\n", "csv-malformed"),
                       ("file_name,a,a\n", "duplicate-column")],
)  # fmt: skip
def test_metadata_is_checked_before_201(text: str, slug: str, api: Api) -> None:
    document = problem(api.upload(pets.with_part(Part("metadata.csv", text.encode()))), 422, slug)
    assert document["errors"][0]["loc"][:2] == ["file", "metadata.csv"]
    assert "Line " in document["detail"]
