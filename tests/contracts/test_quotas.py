"""How much a key and a project may ask for (S08, S10, S41)."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from service.store.pages import PageQuery
from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec
from tests.corpora import pets
from tests.corpora.pictures import png

EVENT_STREAM = {"Accept": "text/event-stream"}


def submit(api: Api, **options: Any) -> Any:
    return api.call("POST", "/v1/jobs", json=job_spec(api.ours.ids["dataset_id"]), **options)


def test_s08_every_answer_tells_what_is_left(api: Api) -> None:
    for path in ("/v1/jobs", "/v1/jobs/none"):
        headers = api.call("GET", path).headers
        assert headers["ratelimit-policy"] == '"key";q=6000;w=60'
        assert headers["ratelimit"].startswith('"key";r=59')
    assert "ratelimit" not in api.client.get("/healthz").headers


def test_s08_a_burst_is_limited(make_api: Callable[..., Api]) -> None:
    api = make_api(rate_requests=3, rate_window_seconds=3600)
    assert [api.call("GET", "/v1/jobs").status_code for _ in range(3)] == [200] * 3
    refused = api.call("GET", "/v1/jobs")
    problem(refused, 429, "rate-limited")
    assert 0 < int(refused.headers["retry-after"]) <= 1200
    problem(api.call("POST", "/v1/jobs", content=b"never read"), 429, "rate-limited")
    assert api.call("GET", "/v1/jobs", key=api.ours.read_key).status_code == 200


def test_s08_full_storage(make_api: Callable[..., Api]) -> None:
    api = make_api()
    with api.store.read() as work:
        project = work.keys.project("ours").id
        used = work.datasets.total_bytes(project) + work.models.total_bytes(project)
    settings = api.client.app.state.settings  # type: ignore[attr-defined]
    settings.max_project_bytes = used + len(pets.plain())
    assert api.upload(pets.plain()).status_code == 201
    refused = api.upload(pets.plain())
    problem(refused, 403, "quota-exceeded")
    assert len(api.call("GET", "/v1/datasets").json()["data"]) == 2
    assert api.upload(pets.plain(), name="theirs.zip").status_code == 403
    assert api.call("POST", "/v1/datasets", key=api.theirs.write_key,
                    files={"file": ("p.zip", pets.plain())}, data={"modality": "image"}).status_code == 201  # fmt: skip


def test_s08_a_full_queue(make_api: Callable[..., Api]) -> None:
    api = make_api(max_queued_jobs=2)
    first = submit(api).json()["id"]
    assert submit(api).status_code == 201
    refused = submit(api)
    problem(refused, 403, "quota-exceeded")
    assert refused.headers["retry-after"] == "60"
    again = api.call("POST", f"/v1/jobs/{first}/rerun", json={})
    problem(again, 403, "quota-exceeded")
    assert submit(api, params={"dry_run": "true"}).status_code == 200
    assert api.call("POST", f"/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
    assert submit(api).status_code == 201


@pytest.mark.parametrize("noun", ["predictions", "explanations"])
def test_s41_a_flood_of_questions(noun: str, make_api: Callable[..., Api]) -> None:
    api = make_api(max_pending_answers=2)

    def ask(noun: str) -> Any:
        spec = {"spec": '{"method": "shap"}'} if noun == "explanations" else {}
        path = f"/v1/models/{api.ours.ids['model_id']}/{noun}"
        return api.call("POST", path, files={"file": ("a.png", png())}, data=spec)

    assert [ask("predictions").status_code, ask("explanations").status_code] == [202, 202]
    refused = ask(noun)
    problem(refused, 429, "rate-limited")
    assert refused.headers["retry-after"] == "2"
    pending = api.call("GET", f"/v1/{noun}?state=queued").json()["data"]
    assert api.call("DELETE", f"/v1/{noun}/{pending[0]['id']}").status_code == 204
    assert ask(noun).status_code == 202


def test_s10_the_eleventh_stream(make_api: Callable[..., Api]) -> None:
    api = make_api()
    path = f"/v1/jobs/{api.ours.ids['job_id']}/events"
    slots = api.client.app.state.streams  # type: ignore[attr-defined]
    with api.store.read() as work:
        (key_id,) = [
            row.id
            for row in work.keys.page(work.keys.project("ours").id, PageQuery(limit=200))[0]
            if row.name == "write"
        ]
    for _ in range(10):
        slots.take(key_id)
    refused = api.call("GET", path, headers=EVENT_STREAM)
    problem(refused, 429, "too-many-streams")
    assert refused.headers["retry-after"] == "1"
    assert api.call("GET", path).status_code == 200
    assert api.call("GET", path, key=api.ours.read_key, headers=EVENT_STREAM).status_code == 200
    slots.give_back(key_id)
    for _ in range(3):
        assert api.call("GET", path, headers=EVENT_STREAM).status_code == 200


def test_s10_a_stream_ends_with_its_key(make_api: Callable[..., Api]) -> None:
    """The job is queued and stays so: only the revocation, at the first event, can end the stream."""
    api = make_api()
    job = submit(api).json()["id"]
    made = api.call("POST", "/v1/keys", key=api.ours.admin_key, json={"scopes": ["read"]}).json()
    app: Any = api.client.app
    headers = {"host": "localhost", "authorization": f"Bearer {made['key']}", "accept": "text/event-stream"}
    pieces: list[bytes] = []

    asked: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not asked:
            await anyio.sleep_forever()
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        pieces.append(message.get("body", b""))
        if pieces[-1]:
            with api.store.work() as work:
                work.keys.revoke(made["id"])

    scope = {"type": "http", "method": "GET", "path": f"/v1/jobs/{job}/events", "query_string": b"", "app": app}
    scope |= {
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "http_version": "1.1",
        "scheme": "http",
    }

    async def stream() -> None:
        with anyio.fail_after(30):
            await app(scope, receive, send)

    anyio.run(stream)
    assert pieces[1].startswith(b"id: 1\n")
