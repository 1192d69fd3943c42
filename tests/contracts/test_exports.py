"""Exports over HTTP: asked for once, waited for, listed, downloaded, gone with their model."""

from collections.abc import Callable, Iterator
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import update

from service.specs.tasks import EXPORT_MODELS
from service.store.tables import ExportRow
from tests.contracts.conftest import Api, problem
from tests.contracts.world import ONNX


@pytest.fixture
def path(api: Api) -> Iterator[str]:
    """The project's model, of which `onnx` was exported; what else a test asks for is forgotten."""
    api.client.app.state.nudges.sent.clear()  # type: ignore[attr-defined]
    yield f"/v1/models/{api.ours.ids['model_id']}/exports"
    with api.store.work() as work:
        for row in work.exports.of(api.ours.ids["model_id"]):
            if row.format == "torch_export":
                work.session.delete(row)


def ask(api: Api, path: str, **options: Any) -> Any:
    return api.call("POST", path, json={"format": "torch_export"}, **options)


def nudges(api: Api) -> list[str]:
    sent: list[str] = api.client.app.state.nudges.sent  # type: ignore[attr-defined]
    return sent


def set_state(api: Api, **values: Any) -> None:
    with api.store.work() as work:
        model_id = api.ours.ids["model_id"]
        of_ours = (ExportRow.model_id == model_id) & (ExportRow.format == "torch_export")
        work.session.execute(update(ExportRow).where(of_ours).values(**values))


def test_asking_twice_is_asking_once(api: Api, path: str) -> None:
    first = ask(api, path)
    assert first.status_code == 202
    assert first.headers["location"] == f"{path}/torch_export"
    assert first.headers["retry-after"] == "1"
    assert {key: value for key, value in first.json().items() if key != "created_at"} == {
        "model_id": api.ours.ids["model_id"],
        "format": "torch_export",
        "state": "queued",
        "problem": None,
        "artifact": None,
        "started_at": None,
        "finished_at": None,
    }
    again = ask(api, "/v1/models/best/exports")
    assert (again.status_code, again.json(), again.headers["location"]) == (
        202,
        first.json(),
        first.headers["location"],
    )
    assert nudges(api) == [EXPORT_MODELS]
    assert api.call("GET", first.headers["location"]).json() == first.json()


def test_what_is_there_is_answered_at_once(api: Api, path: str) -> None:
    answer = api.call("POST", path, json={"format": "onnx"}, headers={"Prefer": "wait=60"})
    assert (answer.status_code, answer.headers.get("retry-after"), nudges(api)) == (200, None, [])
    artifact = answer.json()["artifact"]
    assert (artifact["name"], artifact["media_type"], artifact["size_bytes"]) == (
        "model.onnx",
        "application/onnx",
        len(ONNX),
    )
    assert artifact in api.call("GET", path.removesuffix("/exports")).json()["artifacts"]
    whole = api.call("GET", artifact["url"])
    assert (whole.content, whole.headers["content-type"]) == (ONNX, "application/onnx")
    part = api.call("GET", artifact["url"], headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, ONNX[5:10])


def test_what_failed_is_told_and_tried_again(api: Api, path: str) -> None:
    ask(api, path)
    told = {"type": "/problems/conflict", "title": "The model cannot be exported in this format", "detail": "Why."}
    set_state(api, state="failed", problem=told, finished_at=1.0)
    failed = api.call("GET", f"{path}/torch_export").json()
    assert failed["state"] == "failed"
    assert failed["problem"].items() >= told.items()
    again = ask(api, path)
    assert (again.status_code, again.json()["state"], again.json()["problem"]) == (202, "queued", None)
    assert nudges(api) == [EXPORT_MODELS] * 2


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_waiting_ends_with_the_export(method: str, api: Api, path: str) -> None:
    ask(api, path)
    timer = Timer(0.3, set_state, (api,), {"state": "failed", "problem": None})
    timer.start()
    wait = {"headers": {"Prefer": "wait=30"}}
    answer = ask(api, path, **wait) if method == "POST" else api.call("GET", f"{path}/torch_export", **wait)
    timer.join()
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")


def test_all_of_a_model_by_format(api: Api, path: str) -> None:
    ask(api, path)
    listed = api.call("GET", path).json()
    assert [(export["format"], export["state"]) for export in listed["data"]] == [
        ("onnx", "succeeded"),
        ("torch_export", "queued"),
    ]
    assert listed["next_cursor"] is None


def test_what_nobody_asked_for_is_not_there(api: Api, path: str) -> None:
    problem(api.call("GET", f"{path}/torch_export"), 404, "not-found")
    problem(api.call("GET", "/v1/models/mdl_none/exports"), 404, "not-found")


@pytest.mark.parametrize("body", [{}, {"format": "tflite"}, {"format": "ONNX"}, {"format": None}, {"format": ["onnx"]}])
def test_other_formats_are_refused(body: dict[str, Any], api: Api, path: str) -> None:
    document = problem(api.call("POST", path, json=body), 422, "validation")
    assert [fault["loc"] for fault in document["errors"]] == [["body", "format"]]
    document = problem(api.call("GET", f"{path}/tflite"), 422, "validation")
    assert [fault["loc"] for fault in document["errors"]] == [["path", "format"]]
    assert nudges(api) == []


def test_s42_a_repeat_gets_the_first_answer(api: Api, path: str) -> None:
    first, second = (ask(api, path, headers={"Idempotency-Key": "export"}) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    other = api.call("POST", path, json={"format": "onnx"}, headers={"Idempotency-Key": "export"})
    problem(other, 422, "idempotency-mismatch")


def test_s42_a_repeat_after_a_lost_answer_finds_the_export(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def nudge(self, task: str) -> None:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setitem(api.client.app.state._state, "nudges", Broken())  # type: ignore[attr-defined]
        problem(ask(api, path, headers={"Idempotency-Key": "lost"}), 500, "internal")
    again = ask(api, path, headers={"Idempotency-Key": "lost"})
    assert (again.json()["state"], again.headers["idempotency-replayed"]) == ("queued", "true")
    assert again.headers["location"] == f"{path}/torch_export"


def test_it_goes_with_its_model(make_api: Callable[..., Api]) -> None:
    api = make_api()
    model = f"/v1/models/{api.ours.ids['model_id']}"
    urls = [f"{model}/exports", f"{model}/exports/onnx", f"{model}/artifacts/model.onnx"]
    assert [api.call("GET", url).status_code for url in urls] == [200] * 3
    assert api.call("DELETE", f"/v1/datasets/{api.ours.ids['dataset_id']}?cascade=true").status_code == 204
    assert [api.call("GET", url).status_code for url in urls] == [404] * 3
    with api.store.read() as work:
        assert work.exports.of(api.ours.ids["model_id"]) == []


def test_it_is_described(api: Api) -> None:
    document = api.client.app.openapi()  # type: ignore[attr-defined]
    described = document["paths"]["/v1/models/{model_id}/exports"]["post"]
    assert {"200", "202", "401", "403", "404", "409", "413", "415", "422"} <= set(described["responses"])
    schema = document["components"]["schemas"]["ExportSpec"]
    assert (schema["properties"]["format"]["enum"], schema["additionalProperties"]) == (["onnx", "torch_export"], False)
