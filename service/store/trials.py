"""Trials and their epochs in the store."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from service.store.engine import now_seconds
from service.store.leases import Lease, LeasedRows
from service.store.tables import EpochRow, JobRow, TrialRow


class Trials:
    """Rows of hyperparameter sets being fitted."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.leases = LeasedRows(session, TrialRow)

    def add(self, row: TrialRow) -> None:
        """A new trial."""
        self._session.add(row)
        self._session.flush()

    def claim(self, owner: str, seconds: float) -> Lease | None:
        """The oldest queued trial of a job that may run."""
        runnable = exists().where(JobRow.id == TrialRow.job_id, JobRow.state.in_(("queued", "running")))
        return self.leases.claim(owner, seconds, runnable)

    def waiting(self) -> int:
        """How many trials could be claimed."""
        runnable = exists().where(JobRow.id == TrialRow.job_id, JobRow.state.in_(("queued", "running")))
        return self.leases.waiting(0.0, runnable)

    def get(self, trial_id: str) -> TrialRow:
        """One trial, read afresh."""
        query = select(TrialRow).where(TrialRow.id == trial_id).execution_options(populate_existing=True)
        return self._session.scalars(query).one()

    def of(self, job_id: str) -> list[TrialRow]:
        """A job's trials by number, read afresh."""
        query = select(TrialRow).where(TrialRow.job_id == job_id).order_by(TrialRow.number)
        return list(self._session.scalars(query.execution_options(populate_existing=True)))

    def find(self, job_id: str, number: int) -> TrialRow | None:
        """One trial of a job."""
        query = select(TrialRow).where(TrialRow.job_id == job_id, TrialRow.number == number)
        return self._session.scalars(query).one_or_none()

    def live(self, trial_ids: Iterable[str]) -> set[str]:
        """Those of the trials that are queued or running."""
        query = select(TrialRow.id).where(TrialRow.id.in_(list(trial_ids)), TrialRow.state.in_(("queued", "running")))
        return set(self._session.scalars(query))

    def cancel_queued(self, job_id: str) -> None:
        """Ends what has not begun; what is being claimed just now is its claimer's to end."""
        queued = select(TrialRow.id).where(TrialRow.job_id == job_id, TrialRow.state == "queued")
        self._session.execute(
            update(TrialRow)
            .where(TrialRow.id.in_(queued.with_for_update(skip_locked=True)))
            .values(state="cancelled", finished_at=now_seconds())
            .execution_options(synchronize_session=False)
        )

    def record_epoch(self, lease: Lease, record: dict[str, Any]) -> bool:
        """Keeps one epoch's figures; False when that epoch was already known. Raises `LeaseLost`."""
        known = self._session.get(EpochRow, (lease.row_id, record["epoch"]))
        more = float(record["seconds"]) - (float(known.record["seconds"]) if known else 0.0)
        self.leases.write(lease, seconds=TrialRow.seconds + more)
        if known is not None:
            known.record = record
            self._session.flush()
            return False
        self._session.add(EpochRow(trial_id=lease.row_id, epoch=record["epoch"], record=record))
        self._session.flush()
        return True

    def epochs(self, trial_id: str) -> list[dict[str, Any]]:
        """All epochs in order."""
        query = select(EpochRow.record).where(EpochRow.trial_id == trial_id).order_by(EpochRow.epoch)
        return list(self._session.scalars(query))

    def epochs_done(self, trial_id: str) -> int:
        """How many epochs are recorded."""
        query = select(func.count()).where(EpochRow.trial_id == trial_id)
        return int(self._session.execute(query).scalar_one())
