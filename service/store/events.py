"""Events of jobs: numbered without gaps, appended only."""

from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.store.tables import EventRow, JobRow

EventType = Literal["state", "trial", "epoch", "warning", "log"]
Level = Literal["info", "warning", "error"]


class Events:
    """Appends and reads."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(
        self, job_id: str, type: EventType, message: str, *, level: Level = "info", data: dict[str, Any] | None = None
    ) -> None:
        """Adds the next event of a job; does nothing when the job is gone."""
        counted = (
            update(JobRow)
            .where(JobRow.id == job_id)
            .values(events_seq=JobRow.events_seq + 1)
            .returning(JobRow.events_seq)
            .execution_options(synchronize_session=False)
        )
        seq = self._session.execute(counted).scalar_one_or_none()
        if seq is not None:
            row = EventRow(job_id=job_id, seq=seq, type=type, level=level, message=message, data=data or {})
            self._session.add(row)
            self._session.flush()

    def after(self, job_id: str, seq: int, limit: int) -> list[EventRow]:
        """Events with a higher number, in order."""
        query = (
            select(EventRow).where(EventRow.job_id == job_id, EventRow.seq > seq).order_by(EventRow.seq).limit(limit)
        )
        return list(self._session.scalars(query))
