from collections.abc import Iterator

import pytest

from tests.live import Live, live_service


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One service for all files of this folder that need no other: what takes time is its start, and the models."""
    with live_service(tmp_path_factory.mktemp("live")) as service:
        yield service
