"""Every operation of the OpenAPI document with every kind of key that must not open it.

The walk is generated: an operation that nobody described in `operations.py` fails it.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from service.auth import SCOPES
from tests.contracts.conftest import Api, problem
from tests.contracts.operations import Operation, operations

BAD_KEYS = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer changeme",
    "Bearer admin",
    "Bearer tl_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA00000000",
    "Bearer tl_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA63ce3eb6",
    "Basic YWRtaW46YWRtaW4=",
    "bearer \u00e9",
    "Bearer ' OR 1=1 --",
]
VARYING = ("request_id", "instance")
SSE = {"Accept": "text/event-stream"}


def every_operation(api: Api) -> list[Operation]:
    found = operations(api.client.app.openapi())  # type: ignore[attr-defined]
    assert len(found) > 40
    return found


def asked(operation: Operation) -> Iterator[dict[str, str]]:
    """Headers of each way in which an operation can be asked for."""
    yield {}
    if operation.streams:
        yield SSE


def key_of(api: Api, scope: str) -> str:
    return str(getattr(api.ours, f"{scope}_key"))


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
    """A well-formed id or name that was never given out."""
    return re.sub(r"_.*", "_" + "0" * 20, row_id) if "_" in row_id else "never"


def test_s01_every_operation_without_a_key_or_with_a_wrong_one(api: Api) -> None:
    for operation in every_operation(api):
        for header in BAD_KEYS:
            for accept in asked(operation):
                headers = accept if header is None else {b"Authorization": header.encode(), **_encoded(accept)}
                answer = api.client.request(
                    operation.method, operation.path(api.ours.ids), headers=headers, **operation.body(api.ours)
                )
                problem(answer, 401, "unauthenticated")
                assert answer.headers["www-authenticate"].startswith("Bearer")


def test_s06_every_operation_with_a_key_of_too_small_a_scope(api: Api) -> None:
    refused = 0
    for operation in every_operation(api):
        for scope in SCOPES[: SCOPES.index(operation.scope)]:
            for accept in asked(operation):
                answer = api.call(
                    operation.method,
                    operation.path(api.ours.ids),
                    key=key_of(api, scope),
                    headers=accept,
                    **operation.body(api.ours),
                )
                problem(answer, 403, "insufficient-scope")
                refused += 1
    assert refused > 20


def test_s06_every_operation_says_its_scope(api: Api) -> None:
    """Looking is `read`, doing is `write`, keys and metrics are `admin`; nothing else is in the document."""
    for operation in every_operation(api):
        if operation.template.startswith(("/v1/keys", "/metrics")):
            assert operation.scope == "admin", str(operation)
        else:
            assert operation.scope == ("read" if operation.method == "get" else "write"), str(operation)


def test_s04_every_operation_with_ids_of_another_project_in_its_path(api: Api) -> None:
    nowhere = {name: unknown(row_id) for name, row_id in api.theirs.ids.items()}
    walked = 0
    for operation in every_operation(api):
        for name in re.findall(r"{(\w+_id)}", operation.template):
            for accept in asked(operation):
                foreign, missing = (
                    api.call(
                        operation.method,
                        operation.path(api.ours.ids | {name: ids[name]}),
                        key=key_of(api, operation.scope),
                        headers=accept,
                        **operation.body(api.ours),
                    )
                    for ids in (api.theirs.ids, nowhere)
                )
                problem(foreign, 404, "not-found")
                same(foreign, missing)
                walked += 1
    assert walked > 25


def test_s04_every_operation_with_ids_of_another_project_in_its_body(api: Api) -> None:
    theirs = api.theirs.ids | {"project": "theirs"}
    walked = 0
    for operation in every_operation(api):
        for field in operation.id_fields:
            name = field.rpartition(".")[2]
            foreign, missing = (
                api.call(
                    operation.method,
                    operation.path(api.ours.ids),
                    key=key_of(api, operation.scope),
                    json=_with(operation.body(api.ours), field, value),
                )
                for value in (theirs[name], unknown(theirs[name]))
            )
            problem(foreign, 422, "unknown-reference")
            same(foreign, missing)
            walked += 1
    assert walked >= 6


def test_s04_nothing_of_theirs_was_touched(api: Api) -> None:
    ids = api.theirs.ids
    for path in ("datasets/{dataset_id}", "jobs/{job_id}", "models/{model_id}", "predictions/{prediction_id}"):
        answer = api.call("GET", "/v1/" + path.format(**ids), key=api.theirs.read_key)
        assert answer.status_code == 200
        assert answer.json()["state" if "models" not in path else "id"] in ("ready", "succeeded", ids["model_id"])


def test_an_operation_that_nobody_described_fails_the_walk(api: Api) -> None:
    document = api.client.app.openapi()  # type: ignore[attr-defined]
    known = document["paths"]["/v1/jobs"]["post"]
    paths = {"/v1/secrets": {"post": known}, "/v1/secrets/{secret_id}": {"get": known | {"requestBody": {}}}}
    posted, read = operations({**document, "paths": paths})
    with pytest.raises(AssertionError, match="describe its body"):
        posted.body(api.ours)
    with pytest.raises(KeyError, match="secret_id"):
        read.path(api.ours.ids)


def _encoded(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in headers.items()}


def _with(body: dict[str, Any], field: str, value: str) -> dict[str, Any]:
    """The JSON body with one field set; a form becomes the JSON that says the same."""
    changed: dict[str, Any] = dict(body.get("json", {"method": "shap"} if "data" in body else {}))
    *parents, name = field.split(".")
    place = changed
    for parent in parents:
        place = place.setdefault(parent, {})
    place[name] = value
    return changed
