from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.explaining.asking import Models
from tests.live import Live


@pytest.fixture(scope="package")
def models(live: Live) -> Iterator[Models]:
    """They are asked over a new connection each time: one that was idle for long may just be closed by the service."""
    headers = {"Authorization": f"Bearer {live.embedded.admin_key}"}
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=live.embedded.url, headers=headers, timeout=90.0, limits=limits) as http:
        yield Models(live, http)
