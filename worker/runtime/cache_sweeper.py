"""Keeps the folders of this machine clean: the cache within its budget, and nothing in cache or scratch of killed
processes, deleted datasets, and work that is over.

Deleting, cancelling and pausing are matters of the API, which may run elsewhere; what is here goes at the next sweep.
"""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.store import Store
from worker.data.disk_cache import DiskCache
from worker.runtime.scratch import remove_old_scratch

log = logging.getLogger(__name__)


@dataclass
class CacheSweeper:
    """One sweeper; any number may sweep the same folders at once."""

    store: Store
    cache: DiskCache
    scratch: Path
    every_seconds: float
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Sweeps in a thread until `stop`, for the first time now."""
        threading.Thread(target=self._run, name="cache-sweeper", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread after its current round."""
        self._stop.set()

    def sweep(self) -> None:
        """One round. Whatever has a folder had a row before: one that has no row by now was deleted."""
        remove_old_scratch(self.store, self.scratch)
        here = self.cache.datasets()
        if here:
            with self.store.read() as work:
                known = work.datasets.digests(here)
            for digest in set(here) - known:
                self.cache.forget(digest)
        self.cache.make_room()

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except SQLAlchemyError as error:
                log.warning("sweep of the cache put off: %s", type(error).__name__)
            except OSError:
                log.exception("sweep of the cache failed; the next one tries again")
            if self._stop.wait(self.every_seconds):
                return
