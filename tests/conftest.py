"""Stores on both databases, built by Alembic as a deployment's are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import Store
from service.store.migrate import upgrade
from tests.postgres import PostgresServer, binaries
from tests.redis_server import RedisServer, is_installed

SHARED = ("deployment", "deployed", "explaining")
"""Folders whose tests share one service; other tests of running services share one for each module."""
LIVE = ("e2e", "faults")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps in one process what shares a running service, so that none is started twice (`--dist loadgroup`)."""
    for item in items:
        folder = item.path.parent.name
        if folder in SHARED and item.path.parent.parent.name in ("tests", *LIVE):
            item.add_marker(pytest.mark.xdist_group(folder))
        elif folder in LIVE:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of this test run's own on a free port."""
    if binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs PostgreSQL's binaries (Debian: postgresql)")
        pytest.skip("PostgreSQL's binaries (initdb, postgres) are not installed")
    server = PostgresServer.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server of this test run's own on a free port."""
    if not is_installed():
        if os.environ.get("CI"):
            pytest.fail("CI needs redis-server (Debian: redis-server)")
        pytest.skip("redis-server is not installed")
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store on each database, with the newest schema."""
    if request.param == "sqlite":
        yield from _sqlite_store(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    opened = Store(server.lend())
    yield opened
    opened.close()
    server.take_back(opened.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""))


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A store for tests of rules that do not depend on the database."""
    yield from _sqlite_store(tmp_path)


def _sqlite_store(folder: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{folder / 'tunelens.db'}")
    upgrade(opened.engine)
    yield opened
    opened.close()
