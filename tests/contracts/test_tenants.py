"""Another project's things are as unknown as things that never were (S04)."""

import re
from typing import Any

from tests.contracts.conftest import Api, problem
from tests.contracts.operations import operations
from tests.contracts.world import job_spec

VARYING = ("request_id", "instance")


def same(first: Any, second: Any) -> None:
    """Two answers that tell nothing apart: status, headers and body."""
    assert first.status_code == second.status_code
    bodies = [
        {name: value for name, value in answer.json().items() if name not in VARYING} for answer in (first, second)
    ]
    assert bodies[0] == bodies[1]
    names = [{name for name in answer.headers if name != "date"} for answer in (first, second)]
    assert names[0] == names[1]


def unknown(row_id: str) -> str:
    """A well-formed id that was never given out."""
    return re.sub(r"_.*", "_" + "0" * 20, row_id)


def test_s04_ids_in_paths(api: Api) -> None:
    nowhere = {name: unknown(row_id) for name, row_id in api.theirs.ids.items()}
    walked = 0
    for operation in operations(api.client.app.openapi()):  # type: ignore[attr-defined]
        if "_id}" not in operation.template or "key_id" in operation.template:
            continue
        walked += 1
        body = operation.body(api.ours)
        foreign = api.call(operation.method, operation.path(api.theirs.ids), **body)
        missing = api.call(operation.method, operation.path(nowhere), **operation.body(api.ours))
        problem(foreign, 404, "not-found")
        same(foreign, missing)
    assert walked > 20


def test_s04_nothing_of_theirs_was_touched(api: Api) -> None:
    ids = api.theirs.ids
    for path in ("datasets/{dataset_id}", "jobs/{job_id}", "models/{model_id}", "predictions/{prediction_id}"):
        answer = api.call("GET", "/v1/" + path.format(**ids), key=api.theirs.read_key)
        assert answer.status_code == 200
        assert answer.json()["state" if "models" not in path else "id"] in ("ready", "succeeded", ids["model_id"])


def test_s04_event_streams(api: Api) -> None:
    headers = {"Accept": "text/event-stream"}
    foreign = api.call("GET", f"/v1/jobs/{api.theirs.ids['job_id']}/events", headers=headers)
    missing = api.call("GET", f"/v1/jobs/{unknown(api.theirs.ids['job_id'])}/events", headers=headers)
    problem(foreign, 404, "not-found")
    same(foreign, missing)


def test_s04_every_artifact_of_theirs(api: Api) -> None:
    model = f"/v1/models/{api.theirs.ids['model_id']}"
    names = [item["name"] for item in api.call("GET", model, key=api.theirs.read_key).json()["artifacts"]]
    assert names
    for name in names:
        problem(api.call("GET", f"{model}/artifacts/{name}"), 404, "not-found")


def test_s04_ids_in_bodies(api: Api) -> None:
    theirs, ours = api.theirs.ids, api.ours.ids
    requests: list[tuple[str, str, str, dict[str, Any]]] = [
        ("POST", "/v1/jobs", "dataset_id", job_spec("")),
        ("POST", "/v1/jobs?dry_run=true", "dataset_id", job_spec("")),
        ("POST", f"/v1/jobs/{ours['job_id']}/rerun", "dataset_id", {}),
        ("PUT", "/v1/aliases/theirs", "model_id", {}),
        ("POST", f"/v1/models/{ours['model_id']}/predictions", "dataset_id", {}),
        ("POST", f"/v1/models/{ours['model_id']}/explanations", "dataset_id", {"method": "shap"}),
    ]
    for method, path, field, body in requests:
        foreign, missing = (
            api.call(method, path, json=_with(body, field, row_id, nested="rerun" in path))
            for row_id in (theirs[field], unknown(theirs[field]))
        )
        problem(foreign, 422, "unknown-reference")
        same(foreign, missing)


def _with(body: dict[str, Any], field: str, row_id: str, *, nested: bool) -> dict[str, Any]:
    return {**body, "override": {field: row_id}} if nested else {**body, field: row_id}


def test_s04_lists_hold_ours_alone(api: Api) -> None:
    theirs = set(api.theirs.ids.values())
    for noun in ("datasets", "jobs", "models", "predictions", "explanations", "aliases"):
        first = api.call("GET", f"/v1/{noun}?limit=200")
        assert first.status_code == 200
        assert not any(row_id in first.text for row_id in theirs)


def test_s04_a_cursor_of_theirs_opens_nothing(api: Api) -> None:
    for _ in range(2):
        api.call("POST", "/v1/jobs", key=api.theirs.write_key, json=job_spec(api.theirs.ids["dataset_id"]))
    cursor = api.call("GET", "/v1/jobs?limit=1", key=api.theirs.read_key).json()["next_cursor"]
    assert cursor
    found = api.call("GET", "/v1/jobs", params={"cursor": cursor}).json()["data"]
    assert all(job["dataset_id"] != api.theirs.ids["dataset_id"] for job in found)


def test_s04_aliases_are_the_projects_own(api: Api) -> None:
    ours = api.call("GET", "/v1/models/best").json()["id"]
    theirs = api.call("GET", "/v1/models/best", key=api.theirs.read_key).json()["id"]
    assert (ours, theirs) == (api.ours.ids["model_id"], api.theirs.ids["model_id"])


def test_s04_an_alias_spelled_like_their_id_stays_ours(api: Api) -> None:
    their_id = api.theirs.ids["model_id"]
    assert api.call("PUT", f"/v1/aliases/{their_id}", json={"model_id": api.ours.ids["model_id"]}).status_code == 200
    assert api.call("GET", f"/v1/models/{their_id}").json()["id"] == api.ours.ids["model_id"]
    assert api.call("GET", f"/v1/models/{their_id}", key=api.theirs.read_key).json()["id"] == their_id
    assert api.call("DELETE", f"/v1/aliases/{their_id}").status_code == 204
