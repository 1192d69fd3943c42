"""Texts over HTTP, from JSON Lines to a published model, against the running service."""

import json
import random
from typing import Any

import pytest

from tests.live import Live

pytestmark = pytest.mark.timeout(240)
WORDS = {
    "food": ["bread", "soup", "cheese", "lunch", "kitchen", "dinner", "apple"],
    "ships": ["harbour", "sail", "anchor", "captain", "boat", "sea", "port"],
}
EACH = 20


def texts() -> bytes:
    """Short notices of two kinds, each with who wrote it."""
    generator = random.Random(3)
    lines = [
        {"note": f"{' '.join(generator.sample(words, 4))} today", "kind": kind, "author": f"a{number % 7}"}
        for number in range(EACH)
        for kind, words in WORDS.items()
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture(scope="module")
def dataset(live: Live) -> dict[str, Any]:
    found = live.client.upload_dataset(
        texts(), modality="text", options={"text": "note", "target": "kind"}, wait_seconds=60
    )
    assert found["state"] == "ready", found
    return found


@pytest.fixture(scope="module")
def job(live: Live, dataset: dict[str, Any]) -> dict[str, Any]:
    """A frozen head on the packaged transformer; authors stay on one side of the split."""
    spec = {
        "dataset_id": dataset["id"],
        "split": {"strategy": "group", "group_column": "author", "validation": 0.3, "test": 0.3},
        "backbone": {"trainable": "head"},
        "training": {"epochs": 8, "batch_size": 4, "learning_rate": 0.01},
    }
    ended = live.client.wait(live.client.submit_job(spec), timeout_seconds=120)
    assert ended["state"] == "succeeded", ended
    return ended


def test_the_dataset_says_what_it_holds(live: Live, dataset: dict[str, Any]) -> None:
    profile = dataset["profile"]
    assert profile["classes"] == [{"name": kind, "samples": EACH} for kind in WORDS]
    assert profile["samples"] == 2 * EACH
    assert [column["name"] for column in profile["columns"]] == ["author"]
    assert 6 < profile["median_tokens"] <= profile["longest_tokens"] < 20
    assert dataset["options"] == {"text": "note", "target": "kind"}
    lines = [json.loads(line) for line in texts().splitlines()]
    with live.http as http:
        page = http.get(f"/v1/datasets/{dataset['id']}/samples?limit=2&cursor=38").json()
    assert page["next_cursor"] is None
    for number, sample in enumerate(page["data"], start=38):
        line = lines[number]
        assert (sample["index"], sample["text"], sample["label"]) == (number, line["note"], line["kind"])
        assert sample["metadata"] == {"author": line["author"]}


def test_a_head_is_trained_and_published(live: Live, dataset: dict[str, Any], job: dict[str, Any]) -> None:
    assert job["spec"]["backbone"]["name"] == "all-MiniLM-L6-v2"
    assert job["spec"]["training"]["max_tokens"] == max(8, -(-dataset["profile"]["longest_tokens"] // 8) * 8)
    assert job["metrics"]["test"]["accuracy"] > job["metrics"]["baseline"]["accuracy"]
    model = live.client.get(job["model_id"])
    assert (model["backbone"], model["estimator"], model["classes"]) == ("all-MiniLM-L6-v2", None, [*WORDS])
    names = {artifact["name"] for artifact in model["artifacts"]}
    assert {"model.safetensors", "config.json", "tokenizer.json", "split.json", "card.md"} <= names
    split = json.loads(live.client.download(f"/v1/models/{model['id']}/artifacts/split.json"))  # type: ignore[arg-type]
    lines = [json.loads(line) for line in texts().splitlines()]
    authors = [{lines[row]["author"] for row in rows} for rows in split.values()]
    assert sum(map(len, authors)) == len(set.union(*authors)) == 7


def test_the_report_has_the_pictures_of_classes(live: Live, job: dict[str, Any]) -> None:
    with live.http as http:
        page = http.get(f"/v1/jobs/{job['id']}/report").text
        refused = http.post(f"/v1/models/{job['model_id']}/exports", json={"format": "torch_export"})
    assert page.count("data:image/png;base64,") == 3
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/validation")
