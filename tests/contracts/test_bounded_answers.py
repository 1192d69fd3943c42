"""What one request may make the API hold: of what is sent, and of what lists show; and what is said of odd labels."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from service.specs import table_rows
from service.specs.base import new_id
from service.specs.explanations import ExplanationSpec
from service.store.tables import ExplanationRow
from tests.contracts.conftest import Api, problem
from tests.contracts.models import fault, table_model, text_model
from tests.contracts.test_row_inputs import send_file
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
