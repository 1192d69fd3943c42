"""PostgreSQL, Redis and one API process on this machine, and what the API process costs.

There are no workers: what is queued stays queued, and the benchmark plays the part of those who train.
"""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from service.queue import CeleryNudges
from service.settings import Settings
from service.specs.base import new_id
from service.specs.datasets import ClassCount, ImageProfile
from service.store import Store
from service.store.migrate import upgrade
from service.store.tables import DatasetRow
from tests.live import until
from tests.postgres import PostgresServer, free_port
from tests.redis_server import RedisServer

KEY = secrets.token_hex(24)
LIMITS = {
    "TUNELENS_RATE_REQUESTS": "10000000",
    "TUNELENS_MAX_QUEUED_JOBS": "10000000",
    "TUNELENS_MAX_STREAMS": "10000",
    "TUNELENS_LOG_FORMAT": "json",
}
MIB = 1024**2


@dataclass
class Deployed:
    """A running deployment; `store` and `nudges` are those of a worker beside it."""

    url: str
    port: int
    pid: int
    database_url: str
    store: Store
    nudges: CeleryNudges
    settings: Settings
    project_id: str = ""
    dataset_id: str = ""

    @property
    def rss_mib(self) -> float:
        """Memory of the API process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB

    @property
    def cpu_seconds(self) -> float:
        """What the API process has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def transactions(self) -> int:
        """Of the database so far; PostgreSQL counts them with a second's delay."""
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        return int(self.sql(query)[0][0])

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query, or none."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []


@contextmanager
def deployed(folder: Path, **environment: str) -> Iterator[Deployed]:
    """Until the block ends, with an empty database that has one ready dataset of images."""
    postgres, redis = PostgresServer.start(durable=True), RedisServer()
    redis.start()
    database_url = postgres.create_database("tunelens")
    port = free_port()
    (folder / "api").mkdir()
    told = {
        "DATABASE_URL": database_url,
        "BROKER_URL": redis.url,
        "TUNELENS_DATA_DIR": str(folder / "api"),
        "TMPDIR": str(folder / "api"),
        "TUNELENS_ADMIN_KEY": KEY,
        **LIMITS,
        **environment,
    }
    store = Store(database_url)
    try:
        upgrade(store.engine)
        process = _start_api(folder, port, told)
        try:
            settings = Settings(data_dir=folder / "api", database_url=database_url, broker_url=redis.url)
            nudges = CeleryNudges(settings)
            running = Deployed(f"http://127.0.0.1:{port}", port, process.pid, database_url, store, nudges, settings)
            until(lambda: _answers(running.url), 30.0)
            _add_dataset(running)
            yield running
        finally:
            process.terminate()
            process.wait(30)
    finally:
        store.close()
        redis.stop()
        postgres.stop()


def _start_api(folder: Path, port: int, told: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    uvicorn = shutil.which("uvicorn", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uvicorn is not None
    command = [uvicorn, "service.app:from_environment", "--factory", "--port", str(port), "--no-access-log",
               "--timeout-graceful-shutdown", "4"]  # fmt: skip
    with (folder / "api.log").open("wb") as log:
        return subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=subprocess.STDOUT)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False


def _add_dataset(running: Deployed) -> None:
    counts = [ClassCount(name=name, samples=500) for name in ("cat", "dog")]
    profile = ImageProfile(samples=1000, classes=counts, median_width=64, median_height=64)
    with running.store.work() as work:
        running.project_id = work.keys.project("default").id
        row = DatasetRow(
            id=new_id("ds"),
            project_id=running.project_id,
            labels={},
            modality="image",
            state="ready",
            digest="0" * 64,
            size_bytes=1,
            profile=profile.model_dump(),
        )
        work.datasets.add(row)
    running.dataset_id = row.id


def settle(seconds: float = 1.5) -> None:
    """Lets what was begun come to rest, and PostgreSQL's counters arrive."""
    time.sleep(seconds)
