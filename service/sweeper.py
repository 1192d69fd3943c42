"""Finds what was lost: nudges, leases, half-written bytes. A thread in every api and control process.

Any number may run at once. What it has seen expired twice, some time apart on its own monotonic clock, it takes
back; one sighting is not enough, since a database outage or a jump of its clock makes every lease look expired.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from service.queue import Nudges
from service.settings import Settings
from service.specs.tasks import (
    ADVANCE_JOB,
    EXPLAIN,
    EXPORT_MODELS,
    PREDICT,
    QUEUE_OF,
    RUN_TRIALS,
    VALIDATE_DATASETS,
)
from service.store import Store, UnitOfWork
from service.store.artifacts import DELETED_AT_ONCE
from service.store.leases import Expired, LeasedRows
from service.store.workers import SEEN_SECONDS

log = logging.getLogger(__name__)

ABANDONED_SECONDS = 24 * 3600.0
WORKER_FORGOTTEN_SECONDS = 7 * 24 * 3600.0


@dataclass
class Sweeper:
    """One sweeper; `sweep` is one round."""

    store: Store
    nudges: Nudges
    settings: Settings
    _seen: dict[Expired, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Sweeps in a thread until `stop`."""
        threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread after its current round."""
        self._stop.set()

    def sweep(self, now: float) -> None:
        """One round; `now` is monotonic, in seconds."""
        sightings: dict[Expired, float] = {}
        with self.store.read() as work:
            served = work.workers.queues_served(SEEN_SECONDS)
        for name, task in (
            ("trials", RUN_TRIALS),
            ("datasets", VALIDATE_DATASETS),
            ("predictions", PREDICT),
            ("explanations", EXPLAIN),
            ("exports", EXPORT_MODELS),
        ):
            with self.store.read() as work:
                leases = _leases(work, name)
                expired = leases.expired()
                waiting = leases.waiting(older_than_seconds=self.settings.sweep_seconds / 2)
            for lease in expired:
                first = self._seen.get(lease, now)
                if now - first < self.settings.expiry_sightings_apart_seconds:
                    sightings[lease] = first
                else:
                    waiting += self._take_back(name, lease)
            if waiting:
                self._nudge(task, served)
        self._seen = sightings
        self._close_jobs(served)
        self._clean()

    def _take_back(self, name: str, lease: Expired) -> int:
        with self.store.work() as work:
            state = _leases(work, name).take_back(lease, self.settings.max_attempts)
            if state is None:
                return 0
            if name == "trials":
                trial = work.trials.get(lease.row_id)
                message = f"trial {trial.number} lost its worker (attempt {trial.attempt})"
                data = {"number": trial.number, "state": state, "attempt": trial.attempt}
                work.events.append(trial.job_id, "trial", message, level="warning", data=data)
        log.warning("took back %s %s: %s", name, lease.row_id, state)
        return int(state in ("queued", "validating"))

    def _nudge(self, task: str, served: set[str]) -> None:
        """Not where nobody takes messages: they would pile up until the broker is full. A worker looks by itself at
        what waits when it starts.
        """
        if QUEUE_OF[task] in served:
            self.nudges.nudge(task)

    def _close_jobs(self, served: set[str]) -> None:
        with self.store.read() as work:
            unfinished = work.jobs.without_live_trials()
        if unfinished:
            self._nudge(ADVANCE_JOB, served)

    def _clean(self) -> None:
        with self.store.work() as work:
            work.idempotency.purge()
            work.workers.forget(WORKER_FORGOTTEN_SECONDS)
        self._forget_abandoned()

    def _forget_abandoned(self) -> None:
        """Some at a time, and no longer than rounds are apart: lost leases are not to wait for bytes."""
        until = time.monotonic() + self.settings.sweep_seconds
        while True:
            with self.store.read() as work:
                abandoned = work.artifacts.unowned(ABANDONED_SECONDS, limit=DELETED_AT_ONCE)
            self.store.forget(abandoned)
            if len(abandoned) < DELETED_AT_ONCE or time.monotonic() > until or self._stop.is_set():
                return

    def _run(self) -> None:
        while not self._stop.wait(self.settings.sweep_seconds):
            try:
                self.sweep(time.monotonic())
            except SQLAlchemyError as error:
                log.warning("sweep put off: %s", error.__class__.__name__)
            except Exception:
                log.exception("sweep failed; the next one tries again")


def _leases(work: UnitOfWork, name: str) -> LeasedRows:
    leases: LeasedRows = getattr(work, name).leases
    return leases
