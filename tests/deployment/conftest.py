from collections.abc import Iterator

import pytest

from client import Tunelens
from tests.deployment.deployed import Deployment, client_of, deployment
from tests.live import squares
from tests.postgres import PostgresServer


@pytest.fixture(scope="package")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, redis_server: object
) -> Iterator[Deployment]:
    """The file's services, for all tests of this folder. Asking for a Redis makes sure that there is one."""
    with deployment(tmp_path_factory.mktemp("deployed"), postgres) as running:
        yield running


@pytest.fixture(scope="module")
def client(deployed: Deployment) -> Iterator[Tunelens]:
    with client_of(deployed) as opened:
        yield opened


@pytest.fixture(scope="module")
def dataset_id(client: Tunelens) -> str:
    dataset = client.upload_dataset(squares(each=12), wait_seconds=60)
    assert dataset["state"] == "ready", dataset
    return str(dataset["id"])
