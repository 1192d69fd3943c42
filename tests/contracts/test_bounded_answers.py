"""What one request may make the API hold: of what is sent, and of what lists show; and what is said of odd labels."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from service.jobs import actions as jobs
from service.specs import table_rows
from service.specs.base import new_id
from service.specs.explanations import ExplanationSpec
from service.store.tables import ExplanationRow, JobRow, TrialRow
from tests.contracts.conftest import Api, problem
from tests.contracts.models import fault, table_model, text_model
from tests.contracts.test_row_inputs import send_file
from tests.corpora import pets
from tests.corpora.pictures import png

LABELS = ["non/free", "q?#%", "a b", "é"]


@pytest.mark.parametrize("noun", ["predictions", "explanations"])
def test_lists_have_no_items(noun: str, api: Api) -> None:
    entries = api.call("GET", f"/v1/{noun}").json()["data"]
    assert entries
    for entry in entries:
        whole = api.call("GET", f"/v1/{noun}/{entry['id']}").json()
        assert "items" in whole
        assert "items" not in entry
        assert {name: whole[name] for name in entry} == entry


def test_s15_the_spec_part_is_small(api: Api) -> None:
    spec = ("spec", ("spec.json", b'{"a": [' + b"1," * 600_000 + b"1]}", "application/json"))
    path = f"/v1/models/{api.ours.ids['model_id']}/predictions"
    answer = api.call("POST", path, files=[("file", ("a.png", png())), spec])
    assert problem(answer, 413, "payload-too-large")["errors"][0]["loc"] == ["body", "spec"]


@pytest.mark.parametrize("line", ['{"text": [[]]}', '{"text": "a", "other": {}}', json.dumps({"text": "x" * 2**20})])
def test_lines_of_json_are_short_and_flat(line: str, api: Api) -> None:
    answer = send_file(api, text_model(api), b'{"text": "a"}\n' + line.encode())
    assert problem(answer, 400, "malformed-json")["errors"][0]["loc"][-1] == 2


@pytest.mark.parametrize("content", [b"age\n1\n2\n3\n", b'{"age": 1}\n{"age": 2}\n{"age": 3}\n'])
def test_values_of_a_file_are_counted(content: bytes, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model = table_model(api)
    monkeypatch.setattr(table_rows, "MAX_CELLS", 3)
    assert send_file(api, model, content).status_code == 202
    monkeypatch.setattr(table_rows, "MAX_CELLS", 2)
    problem(send_file(api, model, content), 413, "payload-too-large")


def test_a_file_without_the_column_of_texts(api: Api) -> None:
    assert fault(send_file(api, text_model(api), b"body\na\n")) == (["body", "file", 0], "missing-column")


def test_pictures_are_where_their_addresses_say(api: Api) -> None:
    told = {"space": "probability", "base_value": None, "output_value": 0.5, "additivity": None, "fit": None,
            "attributions": [], "layer": None, "degenerate": False, "pictures": ["overlay"]}  # fmt: skip
    answer = {"label": "a", "probability": 1.0, "probabilities": {"a": 1.0}}
    item: dict[str, Any] = {
        "index": 0, "input": {"name": "text 0", "sha256": "0" * 64, "truncated": False}, "prediction": answer,
        "targets": [{**told, "label": label} for label in LABELS], "quality": None,
    }  # fmt: skip
    with api.store.read() as work:
        project = work.explanations.get(api.ours.ids["explanation_id"]).project_id
    row = ExplanationRow(id=new_id("exp"), project_id=project, model_id=api.ours.ids["model_id"], state="succeeded",
                         spec=ExplanationSpec(method="shap").model_dump(), inputs=[],
                         result={"items": [item]})  # fmt: skip
    with api.store.work() as work:
        work.explanations.add(row)
    stored = {f"items/0/{place}/overlay.png": api.store.artifacts.write(png(place), "image/png") for place in range(4)}
    with api.store.work() as work:
        work.artifacts.attach(stored, row.id)
    targets = api.call("GET", f"/v1/explanations/{row.id}").json()["items"][0]["targets"]
    for place, (label, target) in enumerate(zip(LABELS, targets, strict=True)):
        assert quote(label, safe="") in target["overlay_url"]
        assert api.call("GET", target["overlay_url"]).content == png(place)


def test_maps_are_no_table(api: Api) -> None:
    path = f"/v1/explanations/{api.ours.ids['explanation_id']}"
    problem(api.call("GET", path, headers={"Accept": "text/csv"}), 422, "validation")


def test_trials_come_page_by_page(api: Api) -> None:
    job_id = new_id("job")
    add_trials(api, job_id, 5)
    path, numbers, cursor = f"/v1/jobs/{job_id}/trials", [], ""
    while cursor is not None:
        page = api.call("GET", f"{path}?limit=2{cursor and f'&cursor={cursor}'}").json()
        numbers += [[trial["number"] for trial in page["data"]]]
        cursor = page["next_cursor"]
    assert numbers == [[0, 1], [2, 3], [4]]
    assert len(api.call("GET", path).json()["data"]) == 5
    problem(api.call("GET", f"{path}?limit=201"), 422, "validation")


def test_words_of_an_answer_are_counted(api: Api) -> None:
    classes = [f"c{number}" for number in range(16)]
    texts = "\n".join(["note", *["a"] * 490]).encode()
    for targets, taken in ((15, True), (16, False)):
        spec = json.dumps({"method": "lime", "targets": classes[:targets], "parameters": {"samples": 50}})
        path = f"/v1/models/{text_model(api, classes=classes)}/explanations"
        answer = api.call("POST", path, files={"file": ("a.csv", texts)}, data={"spec": spec})
        if taken:
            assert answer.status_code == 202, answer.text
        else:
            assert "inputs * targets" in problem(answer, 422, "budget-exceeded")["errors"][0]["message"]


def test_what_was_kept_of_a_refused_request_is_dropped(make_api: Callable[..., Api], tmp_path: Path) -> None:
    api = make_api(artifacts_url=f"file://{tmp_path}")
    spec = json.dumps({"method": "shap", "parameters": {"evaluations": 10_000}})
    path = f"/v1/models/{api.ours.ids['model_id']}/explanations"
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert before, "the project's files lie there"
    files = [("file", (f"{place}.png", png(place))) for place in range(7)]
    problem(api.call("POST", path, files=files, data={"spec": spec}), 422, "budget-exceeded")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_storage_that_is_away_is_told_as_such(make_api: Callable[..., Api], tmp_path: Path) -> None:
    api = make_api(artifacts_url=f"file://{tmp_path / 'artifacts'}")
    shutil.rmtree(tmp_path / "artifacts")
    (tmp_path / "artifacts").touch()
    problem(api.upload(pets.plain()), 503, "unavailable")


def test_what_fails_is_framed_and_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(jobs, "page", broken)
    answer = api.call("GET", "/v1/jobs")
    assert "secret" not in answer.text
    problem(answer, 500, "internal")
    assert answer.headers["x-content-type-options"] == "nosniff"
    registry = api.client.app.state.traffic.registry  # type: ignore[attr-defined]
    labels = {"method": "GET", "route": "/v1/jobs", "status": "500"}
    assert registry.get_sample_value("tunelens_http_request_seconds_count", labels) == 1


@pytest.mark.parametrize("key", ["tl_" + "a" * 30 + "é" * 2, "é" * 40])
def test_s02_keys_of_other_letters_are_unknown(key: str, api: Api) -> None:
    header = f"Bearer {key}".encode("latin-1")
    answer = api.client.get("/v1/jobs", headers={b"Authorization": header})  # type: ignore[dict-item]
    problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize("value", ["[" * 980 + "]" * 980, "9" * 5000])
def test_lines_of_an_upload_are_strict(value: str, api: Api) -> None:
    line = f'{{"text": "a", "label": "b", "x": {value}}}\n'
    answer = api.upload(line * 12, name="a.jsonl", modality="text")
    assert problem(answer, 422, "validation")["errors"][0]["code"] == "jsonl-malformed"
    assert "sys." not in answer.text


def add_trials(api: Api, job_id: str, count: int) -> None:
    with api.store.work() as work:
        ours = work.jobs.get(api.ours.ids["job_id"])
        assert ours is not None
        job = JobRow(id=job_id, project_id=ours.project_id, labels={}, dataset_digest="0" * 64, state="succeeded",
                     spec=ours.spec)  # fmt: skip
        work.jobs.add(job)
        for number in range(count):
            work.trials.add(TrialRow(id=new_id("trl"), job_id=job_id, number=number, state="succeeded"))
