"""A worker says that it lives."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from service.settings import Settings
from service.store import Store, UnitOfWork
from tests.live import until
from tests.nudges import Recorded
from worker.presence import Presence
from worker.runtime.context import Runtime


@dataclass
class LateStore:
    """One that is away at first."""

    store: Store
    failures: Iterator[bool] = field(default_factory=lambda: iter([True]))

    @contextmanager
    def work(self, **options: Any) -> Iterator[UnitOfWork]:
        if next(self.failures, False):
            raise OperationalError("INSERT", {}, Exception("the database is away"))
        with self.store.work(**options) as work:
            yield work


def test_a_database_that_is_away_at_the_start_hears_of_it_later(sqlite_store: Store, tmp_path: Path) -> None:
    """Nothing else that starts with the worker is kept from it; nobody would nudge a worker that is not known."""
    settings = Settings(data_dir=tmp_path, heartbeat_seconds=0.05)
    runtime = Runtime(settings, LateStore(sqlite_store), Recorded(), ("control",), "worker")  # type: ignore[arg-type]
    presence = Presence(runtime)
    presence.start()

    def served() -> set[str]:
        with sqlite_store.read() as work:
            return work.workers.queues_served(30.0)

    until(lambda: served() == {"control"})
    presence.stop()
