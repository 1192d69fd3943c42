"""`Idempotency-Key` (S42)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from service.store import Artifact
from tests.contracts.conftest import Api, problem
from tests.contracts.world import Project, job_spec
from tests.corpora import pets
from tests.corpora.pictures import png


def with_key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def submit(api: Api, key: str, project: Project | None = None, **fields: Any) -> Any:
    project = project or api.ours
    body = job_spec(project.ids["dataset_id"], **fields)
    return api.call("POST", "/v1/jobs", key=project.write_key, json=body, headers=with_key(key))


def test_s42_a_repeat_gets_the_first_answer(api: Api) -> None:
    first, second = submit(api, "repeat"), submit(api, "repeat")
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["x-request-id"] != first.headers["x-request-id"]


def test_s42_another_body_is_a_mismatch(api: Api) -> None:
    submit(api, "mismatch")
    problem(submit(api, "mismatch", seed=1), 422, "idempotency-mismatch")
    answer = api.call(
        "POST", "/v1/jobs?dry_run=true", json=job_spec(api.ours.ids["dataset_id"]), headers=with_key("mismatch")
    )
    problem(answer, 422, "idempotency-mismatch")


def test_s42_keys_belong_to_a_project(api: Api) -> None:
    ours, theirs = submit(api, "shared"), submit(api, "shared", api.theirs)
    assert theirs.status_code == 201
    assert ours.json()["id"] != theirs.json()["id"]


def test_s42_keys_belong_to_a_route(api: Api) -> None:
    job = submit(api, "route").json()["id"]
    answer = api.call("POST", f"/v1/jobs/{job}/cancel", headers=with_key("route"))
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


def test_s42_a_request_in_flight(make_api: Callable[..., Api]) -> None:
    """The first request stands still before anything is accepted; once something is, a repeat gets that."""
    api = make_api()
    hold, arrived, go_on = api.store.artifacts.hold, Event(), Event()

    def hold_later(data: bytes, media_type: str) -> Artifact:
        arrived.set()
        assert go_on.wait(30)
        return hold(data, media_type)

    def predict() -> Any:
        path = f"/v1/models/{api.ours.ids['model_id']}/predictions"
        return api.call("POST", path, files={"file": png()}, headers=with_key("flight"))

    api.store.artifacts.hold = hold_later  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(predict)
        assert arrived.wait(30)
        problem(predict(), 409, "conflict")
        go_on.set()
    assert first.result().status_code == 202
    assert predict().json()["id"] == first.result().json()["id"]


def test_s42_a_refused_request_frees_its_key(api: Api) -> None:
    problem(submit(api, "refused", seed=-1), 422, "validation")
    problem(submit(api, "refused", backbone={"name": "none"}), 422, "unknown-backbone")
    assert submit(api, "refused").status_code == 201


@pytest.mark.parametrize("changed", [{"name": "b"}, {"filename": "other.zip"}, {"content": pets.plain(each=7)}])
def test_s42_uploads(changed: dict[str, Any], api: Api) -> None:
    def upload(key: str, *, name: str = "a", filename: str = "p.zip", content: bytes = pets.plain()) -> Any:
        files = {"file": (filename, content)}
        form = {"modality": "image", "name": name}
        return api.call("POST", "/v1/datasets", files=files, data=form, headers=with_key(key))

    key = f"upload-{next(iter(changed))}"
    first, second = upload(key), upload(key)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    problem(upload(key, **changed), 422, "idempotency-mismatch")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_s42_keys_have_a_length(key: str, api: Api) -> None:
    problem(submit(api, key), 422, "validation")


def test_s42_secrets_are_not_kept(api: Api, make_api: Callable[..., Api]) -> None:
    """A key's secret is shown once: either it is not replayed, or the store keeps no readable copy."""
    answer = api.call("POST", "/v1/keys", key=api.ours.admin_key, json={}, headers=with_key("secret"))
    secret = answer.json()["key"]
    database = api.client.app.state.settings.data_dir  # type: ignore[attr-defined]
    for path in database.glob("tunelens.db*"):
        assert secret.encode() not in path.read_bytes()


def test_s42_a_repeat_needs_a_key_of_its_own(api: Api) -> None:
    submit(api, "revoked")
    body = job_spec(api.ours.ids["dataset_id"])
    answer = api.call("POST", "/v1/jobs", key=api.ours.read_key, json=body, headers=with_key("revoked"))
    problem(answer, 403, "insufficient-scope")


def test_s42_of_many_at_once_one_is_taken(api: Api) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: submit(api, "at-once", name="at-once"), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert made == {job["id"] for job in api.call("GET", "/v1/jobs?name=at-once").json()["data"]}
    assert len(made) == 1
