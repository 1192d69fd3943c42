"""The OpenAPI document says what is true; each of these was found by a fuzzer that believed it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.conftest import Api
from tests.contracts.operations import PUBLIC

ANYWHERE = {"400", "401", "403", "408", "413", "415", "422", "429", "503"}


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.client.app.openapi()  # type: ignore[attr-defined]
    return found


def described(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation behind the door."""
    for template, methods in document["paths"].items():
        for method, details in methods.items():
            if (method, template) not in PUBLIC:
                yield f"{method.upper()} {template}", details


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for name in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        place = document
        for part in name.removeprefix("#/").split("/"):
            place = place[part]


def test_s14_every_refusal_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    """FastAPI's own description of a 422 is another media type and another body than what is sent."""
    for name, details in described(document):
        refusals = {status: answer for status, answer in details["responses"].items() if status[0] in "45"}
        assert refusals.keys() >= ANYWHERE, name
        for status, answer in refusals.items():
            assert list(answer["content"]) == ["application/problem+json"], (name, status)


def test_only_a_job_can_be_planned(document: dict[str, Any]) -> None:
    """The check of a quota had added its own query parameter to another operation."""
    planned = {
        name
        for name, details in described(document)
        if any(parameter["name"] == "dry_run" for parameter in details.get("parameters", []))
    }
    assert planned == {"POST /v1/jobs"}
