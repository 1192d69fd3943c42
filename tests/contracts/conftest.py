from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.store.migrate import upgrade
from tests.contracts.world import Project, make_project
from tests.nudges import Recorded


@dataclass
class Api:
    """The service behind a client, and two projects in it."""

    client: TestClient
    store: Store
    ours: Project
    theirs: Project

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        """A request with a key (the project's write key unless another is given), without waiting."""
        headers = {"Authorization": f"Bearer {key or self.ours.write_key}", "Prefer": "wait=0"}
        return self.client.request(method, path, headers=headers | options.pop("headers", {}), **options)

    def upload(self, content: Any, *, name: str = "pets.zip", **fields: str) -> Any:
        form = {"modality": "image", **fields}
        return self.call("POST", "/v1/datasets", files={"file": (name, content)}, data=form)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Api]]:
    """Builds services, on both databases; one is enough for most tests of a module."""
    opened: list[TestClient] = []
    lent: list[str] = []

    def database_url() -> str:
        if request.param == "sqlite":
            return ""
        lent.append(request.getfixturevalue("postgres").lend())
        return lent[-1]

    def make(**settings: Any) -> Api:
        folder: Path = tmp_path_factory.mktemp("data")
        chosen = Settings(data_dir=folder, database_url=database_url(), sweep_seconds=3600, **settings)
        store = Store(chosen.database_url, chosen.artifacts_url)
        if request.param == "sqlite":
            upgrade(store.engine)
        client = TestClient(
            create_app(chosen, store, Recorded()), raise_server_exceptions=False, follow_redirects=False
        )
        client.__enter__()
        opened.append(client)
        return Api(client, store, make_project(store, "ours"), make_project(store, "theirs"))

    yield make
    for client in opened:
        client.__exit__(None, None, None)
    for url in lent:
        request.getfixturevalue("postgres").take_back(url)


@pytest.fixture(scope="module")
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


def problem(response: Any, status: int, slug: str) -> dict[str, Any]:
    """The body of a problem document, checked to be one."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text[:500]
    )
    document: dict[str, Any] = response.json()
    assert document["type"] == f"/problems/{slug}", document
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["instance"].startswith("/")
    for fault in document.get("errors", []):
        assert set(fault) == {"loc", "code", "message"}
    return document
