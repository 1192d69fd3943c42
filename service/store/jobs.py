"""Jobs in the store, and the only door through which they change state."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from service.store.engine import now_seconds
from service.store.events import Events
from service.store.pages import PageQuery, fetch_page
from service.store.tables import JobRow, TrialRow

TERMINAL = ("succeeded", "failed", "cancelled")
SETTLED = (*TERMINAL, "paused")
UNSETTLED = ("queued", "running", "pausing", "cancelling")
MOVES: dict[str, tuple[str, ...]] = {
    "running": ("queued",),
    "succeeded": ("running", "pausing"),
    "failed": ("queued", "running", "pausing"),
    "pausing": ("running",),
    "paused": ("pausing",),
    "queued": ("paused",),
    "cancelling": ("queued", "running", "pausing", "paused"),
    "cancelled": ("cancelling",),
}


class Standing(NamedTuple):
    """The number of a job's last event, and its state then."""

    seq: int
    state: str


class Jobs:
    """Rows of accepted training requests; every client's read is within one project."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: JobRow) -> None:
        """A new job and its first event."""
        self._session.add(row)
        self._session.flush()
        Events(self._session).append(row.id, "state", "queued", data={"state": "queued"})

    def find(self, project_id: str, job_id: str, *, lock: bool = False) -> JobRow | None:
        """One of a project's jobs; locked, it stays as it is until the unit of work ends."""
        query = select(JobRow).where(JobRow.id == job_id, JobRow.project_id == project_id)
        return self._session.scalars(query.with_for_update() if lock else query).one_or_none()

    def get(self, job_id: str) -> JobRow | None:
        """For workers."""
        return self._session.scalars(select(JobRow).where(JobRow.id == job_id)).one_or_none()

    def lock(self, job_id: str) -> JobRow | None:
        """The job's row, held until the unit of work ends."""
        query = select(JobRow).where(JobRow.id == job_id).with_for_update().execution_options(populate_existing=True)
        return self._session.scalars(query).one_or_none()

    def state_of(self, job_id: str) -> str | None:
        """Where the job stands."""
        return self._session.execute(select(JobRow.state).where(JobRow.id == job_id)).scalar_one_or_none()

    def standings(self, job_ids: Iterable[str]) -> dict[str, Standing]:
        """Of those jobs that are there, in one query however many there are."""
        query = select(JobRow.id, JobRow.events_seq, JobRow.state).where(JobRow.id.in_(list(job_ids)))
        return {job_id: Standing(seq, state) for job_id, seq, state in self._session.execute(query)}

    def page(self, project_id: str, page: PageQuery) -> tuple[list[JobRow], str | None]:
        """A project's jobs, newest first."""
        return fetch_page(self._session, JobRow, [JobRow.project_id == project_id], page)

    def queued(self, project_id: str) -> int:
        """How many of a project's wait for their first trial to begin."""
        query = select(func.count()).where(JobRow.project_id == project_id, JobRow.state == "queued")
        return self._session.execute(query).scalar_one()

    def move(self, job_id: str, state: str, **values: Any) -> bool:
        """Moves a job along the state machine and appends the event; False when it stands elsewhere."""
        if state == "running":
            values["started_at"] = func.coalesce(JobRow.started_at, now_seconds())
            values["running_since"] = now_seconds()
        if state in SETTLED:
            values |= {"run_seconds": _run_seconds(), "running_since": None}
        if state in TERMINAL:
            values["finished_at"] = now_seconds()
        statement = (
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state.in_(MOVES[state]))
            .values(state=state, **values)
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
        if self._session.execute(statement).one_or_none() is None:
            return False
        problem = values.get("problem")
        level = "error" if state == "failed" else "info"
        data = {"state": state} | ({"problem": problem} if problem else {})
        Events(self._session).append(job_id, "state", state, level=level, data=data)  # type: ignore[arg-type]
        return True

    def run_seconds(self, job_id: str) -> float:
        """How long the job has run, from its first trial on and without pauses, on the database's clock."""
        return float(self._session.execute(select(_run_seconds()).where(JobRow.id == job_id)).scalar_one())

    def begin_pursuit(self, job_id: str, seconds: float) -> bool:
        """Whether the caller is to find out what the job's next step needs; False while another one does."""
        free = JobRow.pursued_until.is_(None) | (JobRow.pursued_until < now_seconds())
        return self._set_pursued(job_id, now_seconds() + seconds, free)

    def go_on_pursuing(self, job_id: str, seconds: float) -> None:
        """It takes longer."""
        self._set_pursued(job_id, now_seconds() + seconds)

    def end_pursuit(self, job_id: str) -> None:
        """It is found out, or left to somebody else."""
        self._set_pursued(job_id, None)

    def _set_pursued(self, job_id: str, until: ColumnElement[float] | None, *where: ColumnElement[bool]) -> bool:
        statement = (
            update(JobRow)
            .where(JobRow.id == job_id, *where)
            .values(pursued_until=until)
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
        return self._session.execute(statement).one_or_none() is not None

    def without_live_trials(self) -> list[str]:
        """Jobs that are not closed though nothing of theirs is queued or running."""
        live = exists().where(TrialRow.job_id == JobRow.id, TrialRow.state.in_(("queued", "running")))
        query = select(JobRow.id).where(JobRow.state.in_(UNSETTLED), ~live)
        stopping = exists().where(TrialRow.job_id == JobRow.id, TrialRow.state == "running")
        halted = select(JobRow.id).where(JobRow.state.in_(("cancelling", "pausing")), ~stopping)
        return list(self._session.scalars(query.union(halted)))

    def delete(self, job_ids: Sequence[str]) -> None:
        """Removes jobs with their trials, epochs and events; artifacts are the caller's to abandon."""
        self._session.execute(delete(JobRow).where(JobRow.id.in_(job_ids)))


def _run_seconds() -> ColumnElement[float]:
    return JobRow.run_seconds + func.coalesce(now_seconds() - JobRow.running_since, 0.0)
