"""What a body may hold, and how every refusal looks (S12-S14, S37)."""

import json
import socket
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.operations import operations
from tests.contracts.world import job_spec

JSON = {"Content-Type": "application/json"}


def post_job(api: Api, text: str | bytes, headers: dict[str, str] = JSON) -> Any:
    return api.call("POST", "/v1/jobs", content=text, headers=headers)


def job_text(api: Api, training: str) -> str:
    spec = json.dumps(job_spec(api.ours.ids["dataset_id"]))
    return spec[:-1] + f', "training": {{{training}}}}}'


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_s12_numbers_are_finite(number: str, api: Api) -> None:
    for field in ("learning_rate", "epochs", "weight_decay"):
        problem(post_job(api, job_text(api, f'"{field}": {number}')), 422, "validation")
    override = f'{{"override": {{"training": {{"learning_rate": {number}}}}}}}'
    path = f"/v1/jobs/{api.ours.ids['job_id']}/rerun"
    problem(api.call("POST", path, content=override, headers=JSON), 422, "validation")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 40 + "1" + "}" * 40,
        '{"metadata": {"a": ' + "9" * 5000 + "}}",
        '{"seed": ' + "9" * 20 + "}",
        '{"training": {"epochs": 1, "epochs": 2}}',
        '{"seed": 1, "seed": 1}',
        '{"seed": 1} {"seed": 2}',
        "{'seed': 1}",
        '{"seed": 1,}',
        '{"seed": 01}',
        '{"seed": 1',
        "",
        "\x00",
        b"\xff\xfe{\x00}\x00",
        b'{"name": "\xff"}',
        '{"a": 1}\x00',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_s13_malformed_json(text: str | bytes, api: Api) -> None:
    started = perf_counter()
    answer = post_job(api, text)
    if text == "":
        problem(answer, 422, "validation")
    else:
        problem(answer, 400, "malformed-json")
    assert perf_counter() - started < 1


@pytest.mark.parametrize(
    "training",
    [
        '"learning_rate": "0.1"',
        '"learning_rate": true',
        '"epochs": "3"',
        '"epochs": true',
        '"epochs": 3.5',
        '"epochs": 1000000000',
        '"epochs": 0',
        '"batch_size": 1000000000',
        '"image_size": 1000000',
        '"optimizer": 5',
        '"learning_rate": null',
        '"epochs": [3]',
        '"learning_rate": -0.1',
    ],
)
def test_s13_nothing_is_coerced(training: str, api: Api) -> None:
    started = perf_counter()
    document = problem(post_job(api, job_text(api, training)), 422, "validation")
    assert document["errors"][0]["loc"][:2] == ["body", "training"]
    assert perf_counter() - started < 0.5


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_s13_a_body_is_an_object(body: str, api: Api) -> None:
    for operation in operations(api.client.app.openapi()):  # type: ignore[attr-defined]
        if "json" in operation.body(api.ours):
            path = operation.path(api.ours.ids)
            answer = api.call(operation.method, path, key=api.ours.admin_key, content=body, headers=JSON)
            problem(answer, 422, "validation")


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\u202e", "a" * 121])
def test_s13_texts_that_databases_choke_on(text: str, api: Api) -> None:
    """NUL breaks PostgreSQL, a lone surrogate breaks UTF-8: refused or kept, never a failure."""
    spec = json.dumps(job_spec(api.ours.ids["dataset_id"]))[:-1]
    for member in (f'"name": "{text}"', f'"metadata": {{"k": "{text}"}}', f'"metadata": {{"{text}": "v"}}'):
        answer = post_job(api, f"{spec}, {member}}}")
        if text == "\\u202e" or (len(text) == 121 and '"k"' in member):
            assert answer.status_code == 201
        else:
            problem(answer, 422, "validation")
    assert "ud800" not in api.call("GET", "/v1/jobs").text


@pytest.mark.parametrize(
    "metadata", ["{", "[" * 100_000, '{"a": NaN}', '{"a": 1}', "[]", '{"a": "b", "a": "c"}', '"x"']
)
def test_s13_metadata_of_an_upload(metadata: str, api: Api) -> None:
    answer = api.upload(b"never read", metadata=metadata)
    assert answer.status_code in (400, 422), answer.text
    problem(answer, answer.status_code, "validation" if answer.status_code == 422 else "malformed-json")


def test_s13_the_body_limit(api: Api) -> None:
    big = json.dumps(job_spec(api.ours.ids["dataset_id"], name="x" * 2_000_000))
    problem(post_job(api, big), 413, "payload-too-large")

    def pieces() -> Iterator[bytes]:
        for _ in range(300):
            yield b" " * 10_000

    problem(api.call("POST", "/v1/jobs", content=pieces(), headers=JSON), 413, "payload-too-large")


def test_s14_unknown_paths(api: Api) -> None:
    for path in ("/nothing", "/v1/nothing", "/v1", "/", "/v1/jobs/x/nothing", "/v2/jobs", "/metrics/x"):
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


@pytest.mark.parametrize("query", ["state=x", "name=x", "metadata[a]=b", "metadata[%00]=%00", "name=%00", "x=y"])
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


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that must not be called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_s37_a_backbone_is_a_name_of_the_catalogue(listener: socket.socket, api: Api) -> None:
    port = listener.getsockname()[1]
    names = [
        "hf-hub:timm/resnet18.a1_in1k",
        "hf_hub:x/y",
        "local-dir:/tmp",
        "local-dir:../../etc",
        f"http://127.0.0.1:{port}/weights.pth",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "s3://bucket/x",
        "/etc/passwd",
        "../resnet18",
        "resnet18.a1_in1k",
        "RESNET18",
        " resnet18",
        "resnet18\n",
        "",
    ]
    for name in names:
        spec = job_spec(api.ours.ids["dataset_id"], backbone={"name": name, "weights": "none"})
        started = perf_counter()
        problem(api.call("POST", "/v1/jobs", json=spec), 422, "unknown-backbone")
        override = {"override": {"backbone": {"name": name, "weights": "none"}}}
        answer = api.call("POST", f"/v1/jobs/{api.ours.ids['job_id']}/rerun", json=override)
        problem(answer, 422, "unknown-backbone")
        assert perf_counter() - started < 1
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_s37_other_strings_name_no_place_either(listener: socket.socket, api: Api) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    ours = api.ours.ids
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/jobs", job_spec(url)),
        ("/v1/jobs", job_spec(ours["dataset_id"], training={"optimizer": url})),
        ("/v1/jobs", job_spec(ours["dataset_id"], augmentation={"policy": url})),
        ("/v1/jobs", job_spec(ours["dataset_id"], early_stopping={"monitor": url})),
        (f"/v1/models/{ours['model_id']}/explanations", {"method": url, "dataset_id": ours["dataset_id"]}),
        (f"/v1/models/{ours['model_id']}/predictions", {"dataset_id": url}),
    ]
    for path, body in bodies:
        assert api.call("POST", path, json=body).status_code == 422
    with pytest.raises(BlockingIOError):
        listener.accept()
