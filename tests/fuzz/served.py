"""The API on a port of this machine, with a project that has one of everything; nothing is trained behind it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.store.migrate import upgrade
from tests.contracts.world import Project, make_project
from tests.nudges import Recorded

NO_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Served:
    """Where it answers, and the project in it."""

    url: str
    project: Project


@contextmanager
def served(folder: Path, **limits: int) -> Iterator[Served]:
    """Serves until the block ends; rates do not get in the way of a fuzzer."""
    free = {"rate_requests": NO_LIMIT, "max_queued_jobs": NO_LIMIT, "max_pending_answers": NO_LIMIT}
    settings = Settings(data_dir=folder, sweep_seconds=3600.0, **(free | limits))  # type: ignore[arg-type]
    store = Store(settings.database_url)
    upgrade(store.engine)
    project = make_project(store, "ours")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(settings, store, Recorded()), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", project)
        finally:
            server.should_exit = True
            thread.join()
