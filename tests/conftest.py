"""Stores on both databases, built by Alembic as a deployment's are."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from service.store import Store
from service.store.migrate import upgrade
from tests.postgres import PostgresServer, binaries
from tests.redis_server import RedisServer, is_installed

SHARED = ("tests/deployment/", "tests/faults/deployed/", "tests/e2e/")
"""Folders whose tests share one service."""
ALONE = ("tests/e2e/test_lifecycle.py", "tests/e2e/test_tuning.py")
"""Of them, who has one of its own."""


class ByService(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps in one process what shares a running service, or a file, so that nothing is started twice.

    xdist's own `loadgroup` groups nothing under pytest 9.2, which no longer reads what it writes (`Item._nodeid`).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = next((folder for folder in SHARED if file.startswith(folder)), file)
        return file if file in ALONE else folder


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByService:
    """In the order of the files, or those with the fewest tests, which last longest, would come last."""
    config.option.loadscopereorder = False
    return ByService(config, log)


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
