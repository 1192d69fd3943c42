"""Stores on both databases, built by Alembic as a deployment's are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import Store
from service.store.migrate import upgrade
from tests.postgres import PostgresServer, binaries
from tests.redis_server import RedisServer, is_installed


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
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tunelens.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    yield server.create_database()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with the newest schema."""
    opened = Store(database_url)
    upgrade(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A store for tests of rules that do not depend on the database."""
    opened = Store(f"sqlite:///{tmp_path / 'tunelens.db'}")
    upgrade(opened.engine)
    yield opened
    opened.close()
