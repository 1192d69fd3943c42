"""Worker processes in the store: who is alive, and which weights they have."""

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service.store.engine import now_seconds, seconds_ago
from service.store.tables import WorkerRow

SEEN_SECONDS = 30.0
"""Whoever has not said for as long that it lives is taken to be gone; workers say it every few seconds."""
RANK = {"packaged": 3, "local": 2, "downloadable": 1, "none": 0}


class Workers:
    """Rows of worker processes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def seen(
        self,
        worker_id: str,
        queues: list[str],
        weights: dict[str, Any],
        *,
        figures: str | None = None,
        devices: int | None = None,
    ) -> None:
        """A worker says that it lives, and how many `devices` it has for one trial."""
        row = self._session.get(WorkerRow, worker_id)
        if row is None:
            row = WorkerRow(id=worker_id, queues=queues)
            self._session.add(row)
        row.weights, row.figures, row.devices = weights, figures, devices
        row.seen_at = now_seconds()
        self._session.flush()

    def gone(self, worker_id: str) -> None:
        """A worker says goodbye."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def queues_served(self, within_seconds: float) -> set[str]:
        """Queues that some worker took work from lately."""
        query = select(WorkerRow.queues).where(WorkerRow.seen_at > now_seconds() - within_seconds)
        return {queue for queues in self._session.scalars(query) for queue in queues}

    def seen_on(self, host: str, within_seconds: float) -> int:
        """How many processes of one machine said lately that they live."""
        here = WorkerRow.id.startswith(f"{host}:", autoescape=True)
        query = select(func.count()).where(here, WorkerRow.seen_at > now_seconds() - within_seconds)
        return int(self._session.execute(query).scalar_one())

    def figures(self, within_seconds: float) -> dict[str, tuple[list[str], str | None]]:
        """Queues and metrics of each worker that was seen lately."""
        lately = WorkerRow.seen_at > now_seconds() - within_seconds
        query = select(WorkerRow.id, WorkerRow.queues, WorkerRow.figures).where(lately).order_by(WorkerRow.id)
        return {worker_id: (queues, text) for worker_id, queues, text in self._session.execute(query)}

    def weights(self) -> dict[str, str]:
        """The best that any known train worker has, by backbone; empty when none was ever seen."""
        best: dict[str, str] = {}
        for weights in self._session.scalars(select(WorkerRow.weights)):
            for name, kind in weights.items():
                if RANK[kind] >= RANK.get(best.get(name, "none"), 0):
                    best[name] = kind
        return best

    def most_devices(self) -> int | None:
        """The most that any known worker has for one trial; None when none was ever seen that trains."""
        return self._session.execute(select(func.max(WorkerRow.devices))).scalar_one()

    def forget(self, after_seconds: float) -> None:
        """Drops workers that have been silent for long."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.seen_at < seconds_ago(after_seconds)))
