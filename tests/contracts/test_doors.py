"""Who may come in, and by which name the house goes."""

import base64
from pathlib import Path

import pytest
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.store.migrate import upgrade
from tests.contracts.conftest import Api, problem
from tests.contracts.operations import PUBLIC
from tests.contracts.test_matrix import every_operation
from tests.nudges import Recorded

DEFAULTS = ["changeme", "change-me", "admin", "password", "secret", "tunelens", "default", "changeme" * 4]
HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "evil.example:80@localhost",
    "localhost/?x=",
    "a/?x=",
    "localhost:port",
    "",
    "[::1",
    "localhost,evil.example",
    "xn--localhost",
]


def test_s01_every_route_is_in_the_document(api: Api) -> None:
    """A route beside the document would not be walked: there may be none but the document itself and its page."""
    document = api.client.app.openapi()  # type: ignore[attr-defined]
    known = set(document["paths"]) | {"/openapi.json", "/docs", "/docs/oauth2-redirect"}
    assert not _paths(api.client.app.routes) - known  # type: ignore[attr-defined]


def _paths(routes: list[BaseRoute], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for route in routes:
        path = getattr(route, "path", None)
        inner = getattr(route, "routes", None)
        if inner:
            found |= _paths(inner, prefix + (path or ""))
        elif path is not None:
            found.add(prefix + path)
    return found


def test_s01_what_is_public_needs_none(api: Api) -> None:
    for method, path in PUBLIC:
        assert api.client.request(method, path).status_code in (200, 503)


def test_s01_a_key_in_the_query_is_no_key(api: Api) -> None:
    for name in ("api_key", "key", "token", "access_token"):
        problem(api.client.get("/v1/jobs", params={name: api.ours.admin_key}), 401, "unauthenticated")


@pytest.mark.parametrize("host", HOSTS)
def test_s02_host_allow_list(host: str, api: Api) -> None:
    for path in ("/healthz", "/v1/jobs", "/nothing"):
        problem(api.call("GET", path, headers={"Host": host}), 400, "bad-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:80", "[::1]", "[::1]:8000"])
def test_s02_allowed_hosts(host: str, api: Api) -> None:
    assert api.call("GET", "/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("field", ["tenant_id", "project_id", "status", "state", "artifact_uri", "id", "__class__"])
def test_s05_fields_of_ours_cannot_be_set(field: str, api: Api) -> None:
    for operation in every_operation(api):
        body = operation.body(api.ours)
        if "json" not in body:
            continue
        answer = api.call(
            operation.method,
            operation.path(api.ours.ids),
            key=api.ours.admin_key,
            json=body["json"] | {field: "x"},
        )
        document = problem(answer, 422, "validation")
        assert [(fault["loc"][-1], fault["code"]) for fault in document["errors"]] == [(field, "unknown-field")]


def test_s05_unknown_form_fields(api: Api) -> None:
    answer = api.call(
        "POST", f"/v1/models/{api.ours.ids['model_id']}/predictions", files={"file": b""}, data={"state": "x"}
    )
    problem(answer, 422, "validation")
    problem(api.upload(b"", project_id="x"), 422, "validation")


def test_s06_a_read_key_reads(api: Api) -> None:
    for operation in every_operation(api):
        if operation.scope == "read":
            answer = api.call("GET", operation.path(api.ours.ids), key=api.ours.read_key)
            assert answer.status_code == 200, str(operation)


def test_s43_safe_headers_on_every_answer(api: Api) -> None:
    model = f"/v1/models/{api.ours.ids['model_id']}"
    paths = ["/healthz", "/v1/jobs", "/nothing", f"{model}/artifacts/model.safetensors", f"{model}/artifacts/none"]
    for path in paths:
        headers = api.call("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("secret", [*DEFAULTS, "postgres", "root", "tl_", "0" * 64])
def test_s03_no_default_secret_opens_anything(secret: str, api: Api) -> None:
    for value in (
        f"Bearer {secret}",
        f"Basic {secret}",
        f"Basic {base64.b64encode(f'admin:{secret}'.encode()).decode()}",
    ):
        problem(api.client.get("/v1/jobs", headers={"Authorization": value}), 401, "unauthenticated")


@pytest.mark.parametrize("secret", [*DEFAULTS, "", "short"])
def test_s03_the_service_does_not_start_with_a_default_secret(secret: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, admin_key=secret)
    store = Store(settings.database_url)
    upgrade(store.engine)
    with pytest.raises(ValueError, match="TUNELENS_ADMIN_KEY"), TestClient(create_app(settings, store, Recorded())):
        pass
    store.close()
