"""docker-compose.yml run without containers: each service's own command in its own environment, on this machine.

Host names become ports of this machine, folders become folders of the test; the PostgreSQL is the test run's, the
Redis is started by the file's own command. Where the image has no torch, there is none to import.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from client import Tunelens
from client.children import Child
from client.supervisor import Supervisor
from tests.architecture.tree import ROOT
from tests.deployment.compose import command_of, document, environment_of
from tests.live import FAST, children_of, until
from tests.postgres import PostgresServer, free_port
from tests.redis_server import RedisServer

SECRETS = {
    "POSTGRES_PASSWORD": "9f2d61a7c03be845",
    "REDIS_PASSWORD": "70c1e5b9a4d2f836",
    "TUNELENS_ADMIN_KEY": "e81b5d20c7f96a3480d4b172",
}
DAEMONS = ("api", "worker-control", "worker-train", "worker-explain")
GRACE_SECONDS = 30.0
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
NO_TORCH = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "timm", "safetensors", "optuna", "sklearn", "shap"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@dataclass
class Deployment:
    """A running deployment; `folder` has a folder and a log for each service."""

    folder: Path
    database_url: str
    redis: RedisServer
    services: dict[str, Any]
    supervisor: Supervisor
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {SECRETS['TUNELENS_ADMIN_KEY']}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=90.0)

    def command(self, name: str, command: Sequence[str] | None = None) -> list[str]:
        """The service's command with what is true on this machine."""
        program, *arguments = [self._local(name, word) for word in command or command_of(self.services[name])]
        return [shutil.which(program, path=PATH) or program, *arguments]

    def environment(self, name: str) -> dict[str, str]:
        """The service's environment with what is true on this machine, and leases short enough to watch."""
        own = {key: self._local(name, value) for key, value in environment_of(self.services[name]).items()}
        path = [self._no_torch(), str(ROOT)] if "api" in self.services[name]["image"] else [str(ROOT)]
        here = {"PATH": PATH, "PYTHONPATH": ":".join(path)}
        return FAST | own | here

    def run(
        self, name: str, command: Sequence[str] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A command of a service, to its end."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            self.command(name, command),
            env=self.environment(name) | environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def child(self, name: str) -> Child:
        return next(child for child in self.supervisor.children if child.title == name)

    def trial_pids(self) -> list[int]:
        """Children in which trials run."""
        pid = self.child("worker-train").pid
        assert pid is not None
        return [child for server in children_of(pid) for child in children_of(server)]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10.0).status_code == 200
        except httpx.TransportError:
            return False

    def start(self) -> None:
        """Migrates, starts everything, and waits until it is ready."""
        migrated = self.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        for name in DAEMONS:
            (self.folder / name).mkdir(exist_ok=True)
        self.supervisor.start([self._child(name) for name in DAEMONS])
        until(self._is_up, 200.0)

    def _is_up(self) -> bool:
        for child in self.supervisor.children:
            assert child.is_alive, f"{child.title} {child.how_it_ended()}:\n{child.log_tail()}"
        return self.is_ready()

    @contextmanager
    def another(self, name: str, **environment: str) -> Iterator[Child]:
        """One more process of a service, with the same folder, as `--scale` has it, until the block ends."""
        own = self.environment(name) | environment
        child = Child(name, self.command(name), self.folder / f"{name}.log", own, lambda _ended: None)
        child.start()
        try:
            yield child
        finally:
            child.terminate()
            until(lambda: not child.is_alive, 120.0)

    def _child(self, name: str) -> Child:
        return Child(
            name, self.command(name), self.folder / f"{name}.log", self.environment(name), self.supervisor.report
        )

    def _local(self, name: str, text: str) -> str:
        database = self.database_url.rpartition("@")[2]
        for told, here in (
            ("postgres:5432/tunelens", database),
            ("redis:6379", f"127.0.0.1:{self.redis.port}"),
            ("/data", str(self.folder / name)),
            ("/weights", str(self.folder / "weights")),
            ("0.0.0.0", "127.0.0.1"),
            ("127.0.0.1:8000", f"127.0.0.1:{self.port}"),
        ):
            text = text.replace(told, here)
        return str(self.port) if text == "8000" else text

    def _no_torch(self) -> str:
        folder = self.folder / "no-torch"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(NO_TORCH)
        return str(folder)


@contextmanager
def deployment(folder: Path, postgres: PostgresServer) -> Iterator[Deployment]:
    """Runs the file's services until the block ends; what dies is started again, as `restart: always` has it."""
    services = document(SECRETS)["services"]
    redis = RedisServer(
        command=lambda port: _with_port(services["redis"]["command"], port),
        environment=environment_of(services["redis"]),
    )
    redis.start()
    url = postgres.create_database("tunelens")
    supervisor = Supervisor(lambda _: None)
    deployed = Deployment(folder, url, redis, services, supervisor, free_port())
    tending = threading.Thread(target=supervisor.tend)
    try:
        deployed.start()
        tending.start()
        yield deployed
    finally:
        if tending.is_alive():
            supervisor.ask_to_stop()
            tending.join()
        supervisor.stop(GRACE_SECONDS)
        redis.stop()


def _with_port(command: list[str], port: int) -> list[str]:
    return [word.replace("requirepass ", f"port {port}\nrequirepass ") for word in command]


def client_of(deployed: Deployment) -> Tunelens:
    return Tunelens(deployed.url, SECRETS["TUNELENS_ADMIN_KEY"])


def rows(deployed: Deployment, query: str) -> list[tuple[Any, ...]]:
    """What the database says, read with an account of its own."""
    with psycopg.connect(deployed.database_url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload]
