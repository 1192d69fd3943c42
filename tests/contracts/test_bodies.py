"""What a body may hold (S12, S13)."""

import json
from collections.abc import Iterator
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
    answer = post_job(api, text)
    if text == "":
        problem(answer, 422, "validation")
    else:
        problem(answer, 400, "malformed-json")


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
    document = problem(post_job(api, job_text(api, training)), 422, "validation")
    assert document["errors"][0]["loc"][:2] == ["body", "training"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("training.batch_size", 10**9),
        ("training.epochs", 10**9),
        ("training.image_size", 10**6),
        ("training.max_tokens", 10**9),
        ("tuning.trials", 10**9),
        ("tuning.parallel", 10**9),
        ("tuning.space", {f"training.epochs{n}": {"low": 1, "high": 2} for n in range(10_000)}),
        ("limits.wall_seconds", 10**12),
        ("early_stopping.patience", 10**9),
        ("seed", 10**12),
        ("metadata", {str(n): "" for n in range(17)}),
    ],
)
def test_s39_every_number_is_bounded(place: str, value: object, api: Api) -> None:
    group, _, field = place.partition(".")
    spec = job_spec(api.ours.ids["dataset_id"], **{group: {field: value} if field else value})
    document = problem(api.call("POST", "/v1/jobs", json=spec), 422, "validation")
    assert document["errors"][0]["loc"][:2] == ["body", group]


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
