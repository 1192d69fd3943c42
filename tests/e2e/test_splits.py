"""Splits by a column over HTTP: from `metadata.csv` to the split that the model keeps."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from tests.live import COLOURS, Live, job_spec, square_png

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def dataset(live: Live) -> dict[str, Any]:
    """24 squares of each colour by twelve cameras, one a day; the first picture once more, by another camera."""
    generator = np.random.default_rng(3)
    files = {
        f"{name}/{number:02d}.png": square_png(generator, colour)
        for number in range(24)
        for name, colour in COLOURS.items()
    }
    lines = ["file_name,camera,day"]
    lines += [f"{path},camera {place // 6},2024-03-{1 + place // 3:02d}" for place, path in enumerate(files)]
    files["red/copy.png"] = files["red/00.png"]
    lines.append("red/copy.png,camera 7,2024-03-24")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr("metadata.csv", "\n".join(lines))
    uploaded = live.client.upload_dataset(buffer.getvalue(), wait_seconds=60)
    assert uploaded["state"] == "ready", uploaded
    return uploaded


def splits_of(live: Live, dataset: dict[str, Any], **split: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """What a job on such a split kept, and every sample's row by its path."""
    spec = job_spec(dataset["id"], "simple_nn", epochs=1) | {"split": split}
    job = live.client.wait(live.client.submit_job(spec), timeout_seconds=120)
    assert job["state"] == "succeeded", job
    kept = live.client.download(f"/v1/models/{job['model_id']}/artifacts/split.json")
    assert isinstance(kept, bytes)
    with live.http as http:
        samples = http.get(f"/v1/datasets/{dataset['id']}/samples", params={"limit": 200}).json()["data"]
        form = http.get(f"/v1/jobs/{job['id']}/plots/calibration.json").json()
        assert form["split"] == "test"
        picture = http.get(f"/v1/jobs/{job['id']}/plots/calibration.png")
        assert picture.content.startswith(b"\x89PNG")
    return json.loads(kept), {sample["path"]: sample["metadata"] for sample in samples}


def test_the_columns_are_shown(dataset: dict[str, Any]) -> None:
    assert dataset["profile"]["columns"] == [
        {"name": "camera", "distinct": 12, "missing": 0, "first_without_time": "red/00.png"},
        {"name": "day", "distinct": 24, "missing": 0, "first_without_time": None},
    ]


def test_cameras_do_not_cross(live: Live, dataset: dict[str, Any]) -> None:
    splits, rows = splits_of(live, dataset, strategy="group", group_column="camera", validation=0.2, test=0.2)
    cameras = {name: {rows[path]["camera"] for path in paths} for name, paths in splits.items()}
    assert sorted(path for paths in splits.values() for path in paths) == sorted(rows)
    assert sum(map(len, cameras.values())) == len(set.union(*cameras.values())) == 12
    with_copy = [name for name, paths in splits.items() if {"red/00.png", "red/copy.png"} & set(paths)]
    assert len(with_copy) == 1
    assert {"camera 0", "camera 7"} <= cameras[with_copy[0]]


def test_days_only_run_forward(live: Live, dataset: dict[str, Any]) -> None:
    splits, rows = splits_of(live, dataset, strategy="time", time_column="day", validation=0.25, test=0.25)
    days = {name: {rows[path]["day"] for path in paths} for name, paths in splits.items()}
    assert max(days["train"]) < min(days["validation"]) <= max(days["validation"]) < min(days["test"])
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [36, 18, 18]
    assert set(rows) - {path for paths in splits.values() for path in paths} == {"red/copy.png"}
