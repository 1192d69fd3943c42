"""How every refusal looks, whatever is asked (S14)."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.operations import operations
from tests.contracts.test_bodies import post_job
from tests.contracts.world import job_spec
from tests.corpora import pets
from tests.storages import use_failing_storage


def test_s14_unknown_paths(api: Api) -> None:
    for path in ("/nothing", "/v1/nothing", "/v1", "/v1/jobs/x/nothing", "/v2/jobs", "/metrics/x"):
        for method in ("GET", "POST", "DELETE"):
            answer = api.call(method, path)
            assert answer.status_code in (404, 405), path
            problem(answer, answer.status_code, "not-found" if answer.status_code == 404 else "method-not-allowed")


def test_s14_wrong_methods(api: Api) -> None:
    served: dict[str, set[str]] = {}
    for operation in operations(api.client.app.openapi()):  # type: ignore[attr-defined]
        served.setdefault(operation.path(api.ours.ids), set()).add(operation.method.upper())
    for path, methods in served.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            answer = api.call(method, path)
            problem(answer, 405, "method-not-allowed")
            allowed = {name.strip() for name in answer.headers["allow"].split(",")}
            assert methods <= allowed, (path, method, allowed)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_s14_media_types(media_type: str, api: Api) -> None:
    body = json.dumps(job_spec(api.ours.ids["dataset_id"]))
    problem(post_job(api, body, {"Content-Type": media_type}), 415, "unsupported-media-type")
    answer = api.call("POST", "/v1/datasets", content=b"PK", headers={"Content-Type": media_type or "text/plain"})
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1e3",
        "limit=" + "9" * 5000,
        "cursor=x",
        "cursor=%00",
        "cursor=bmFufHg",
        "cursor=" + "A" * 300,
    ],
)
def test_s14_lists_refuse_bad_queries(query: str, api: Api) -> None:
    for noun in ("datasets", "jobs", "models", "predictions", "explanations"):
        answer = api.call("GET", f"/v1/{noun}?{query}")
        if query != "cursor=bmFufHg":  # nan|x: well-formed, points nowhere
            problem(answer, 422, "validation")
        assert answer.status_code in (200, 422)


@pytest.mark.parametrize(
    "query", ["state=x", "name=x", "metadata[a]=b", 'metadata["]=b', "metadata[%00]=%00", "name=%00", "x=y"]
)
def test_s14_filters_never_fail(query: str, api: Api) -> None:
    for noun in ("datasets", "jobs", "models", "predictions", "explanations"):
        assert api.call("GET", f"/v1/{noun}?{query}").status_code in (200, 422), noun


@pytest.mark.parametrize("number", ["9" * 18, "9" * 30, "9" * 5000, "-1", "x", "1.5", "%00"])
def test_s14_numbers_in_paths(number: str, api: Api) -> None:
    ids = api.ours.ids
    for path in (f"/v1/jobs/{ids['job_id']}/trials/{number}", f"/v1/jobs/{ids['job_id']}/events?after={number}"):
        assert api.call("GET", path).status_code in (200, 404, 422), path
    path = f"/v1/explanations/{ids['explanation_id']}/items/{number}/cat/overlay.png"
    assert api.call("GET", path).status_code in (404, 422)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": number[:20]}
    answer = api.call("GET", f"/v1/jobs/{ids['job_id']}/events", headers=headers)
    assert answer.status_code in (200, 422)


@pytest.mark.parametrize("row_id", ["%00", "x" * 5000, "%ff", "é", "..", "%2e%2e", "' OR 1=1 --", "job_%25"])
def test_s14_odd_ids(row_id: str, api: Api) -> None:
    for noun in ("datasets", "jobs", "models", "predictions", "explanations"):
        assert api.call("GET", f"/v1/{noun}/{row_id}").status_code in (200, 404), noun


def test_s14_input_is_never_echoed(api: Api) -> None:
    canary = "c4n4ry"
    spec = job_spec(canary, name=5, training={"optimizer": canary, "epochs": canary}, **{"split": canary})
    answers = [
        post_job(api, json.dumps(spec)),
        post_job(api, f'{{"{canary}'),
        api.call("GET", f"/v1/jobs?cursor={canary}"),
        api.call("GET", f"/v1/jobs?limit={canary}"),
        api.upload(canary.encode(), name=canary),
        api.upload(canary.encode(), modality=canary),
        api.call("POST", "/v1/jobs", json=job_spec(canary)),
        api.client.get("/v1/jobs", headers={"Authorization": f"Bearer {canary}"}),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        assert canary not in answer.text


@pytest.mark.faults
def test_a_storage_that_takes_nothing(make_api: Callable[..., Api], tmp_path: Path) -> None:
    """A file stands where its folder was. Nothing is accepted, and as soon as that is put right the upload is."""
    files = tmp_path / "artifacts"
    api = make_api(artifacts_url=f"file://{files}")
    before = api.call("GET", "/v1/datasets").json()
    files.rename(tmp_path / "away")
    files.touch()
    problem(api.upload(pets.plain()), 503, "unavailable")
    assert api.call("GET", "/v1/datasets").json() == before
    files.unlink()
    (tmp_path / "away").rename(files)
    assert api.upload(pets.plain()).status_code == 201


def test_a_storage_that_is_away_is_unavailable(make_api: Callable[..., Api]) -> None:
    """Whatever kind of error its library has for that; the download does not begin as if it were whole."""
    api = make_api()
    storage = use_failing_storage(api.store)
    artifact = api.store.artifacts.write(b"weights", "application/octet-stream")
    with api.store.work() as work:
        work.artifacts.attach({"model.safetensors": artifact}, api.ours.ids["model_id"])
    download = f"/v1/models/{api.ours.ids['model_id']}/artifacts/model.safetensors"
    assert api.call("GET", download).content == b"weights"
    for ask in (lambda: api.upload(pets.plain()), lambda: api.call("GET", download)):
        storage.failures = 1
        answer = ask()
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "secret" not in answer.text
    assert api.upload(pets.plain()).status_code == 201
