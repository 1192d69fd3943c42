from collections.abc import Iterator

import pytest

from tests.deployment.deployed import Deployment, deployment
from tests.postgres import PostgresServer


@pytest.fixture(scope="package")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, redis_server: object
) -> Iterator[Deployment]:
    """The file's services, for all tests of this folder. Asking for a Redis makes sure that there is one."""
    with deployment(tmp_path_factory.mktemp("deployed"), postgres) as running:
        yield running
