"""Trials and their epochs in the store."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, case, exists, func, select, tuple_, update
from sqlalchemy.orm import Session

from service.store.engine import now_seconds
from service.store.leases import Lease, LeasedRows
from service.store.tables import EpochRow, JobRow, TrialRow

_DEVICES = func.coalesce(JobRow.spec[("limits", "devices")].as_integer(), 1)
"""On how many each trial of a job trains; specs from before there was a choice do not say."""


class Glance(NamedTuple):
    """A trial as the search sees it; `value` is None until it has succeeded."""

    id: str
    number: int
    state: str
    params: dict[str, Any]
    notes: dict[str, Any] | None
    value: float | None


class Tally(NamedTuple):
    """How far a job's trials are.

    `fraction` sums those of live trials; `mean_seconds` is of trials that have succeeded or were pruned. `seconds`
    and `epochs` are of the newest running trial, or of the newest.
    """

    finished: int
    fraction: float
    mean_seconds: float | None
    seconds: float
    epochs: int


class Trials:
    """Rows of hyperparameter sets being fitted."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.leases = LeasedRows(session, TrialRow, may_run=_of_jobs_that_may_run(None))

    def add(self, row: TrialRow) -> None:
        """A new trial."""
        self._session.add(row)
        self._session.flush()

    def claim(self, owner: str, seconds: float, *, most_devices: int | None = None) -> Lease | None:
        """The oldest queued trial of a job that may run, and has its trials train on so many devices at most."""
        return self.leases.claim(owner, seconds, _of_jobs_that_may_run(most_devices))

    def devices_wanted(self, most: int) -> int | None:
        """By the trial that `claim` would take with so many devices; None where it would take none."""
        query = (
            select(_DEVICES)
            .join(TrialRow, TrialRow.job_id == JobRow.id)
            .where(TrialRow.state == "queued", TrialRow.lease_owner.is_(None), *_may_run(most))
            .order_by(TrialRow.queued_at, TrialRow.number)
            .limit(1)
        )
        return self._session.execute(query).scalar_one_or_none()

    def most_devices_wanted(self) -> int:
        """By any trial that waits and may run; 0 where none does."""
        query = (
            select(func.coalesce(func.max(_DEVICES), 0))
            .join(TrialRow, TrialRow.job_id == JobRow.id)
            .where(TrialRow.state == "queued", *_may_run(None))
        )
        return int(self._session.execute(query).scalar_one())

    def devices_of(self, trial_id: str) -> int:
        """On how many a trial trains."""
        query = select(_DEVICES).join(TrialRow, TrialRow.job_id == JobRow.id).where(TrialRow.id == trial_id)
        return int(self._session.execute(query).scalar_one())

    def get(self, trial_id: str) -> TrialRow:
        """One trial, read afresh."""
        query = select(TrialRow).where(TrialRow.id == trial_id).execution_options(populate_existing=True)
        return self._session.scalars(query).one()

    def of(self, job_id: str) -> list[TrialRow]:
        """A job's trials by number, read afresh."""
        query = select(TrialRow).where(TrialRow.job_id == job_id).order_by(TrialRow.number)
        return list(self._session.scalars(query.execution_options(populate_existing=True)))

    def some_of(self, job_id: str, *, limit: int, first: int) -> tuple[list[TrialRow], int | None]:
        """At most `limit` trials of a job from the number `first` on, and the number after them, if there are more."""
        query = select(TrialRow).where(TrialRow.job_id == job_id, TrialRow.number >= first)
        rows = list(self._session.scalars(query.order_by(TrialRow.number).limit(limit + 1)))
        return rows[:limit], rows[limit].number if len(rows) > limit else None

    def find(self, job_id: str, number: int) -> TrialRow | None:
        """One trial of a job."""
        query = select(TrialRow).where(TrialRow.job_id == job_id, TrialRow.number == number)
        return self._session.scalars(query).one_or_none()

    def live(self, trial_ids: Iterable[str]) -> set[str]:
        """Those of the trials that are queued or running."""
        query = select(TrialRow.id).where(TrialRow.id.in_(list(trial_ids)), TrialRow.state.in_(("queued", "running")))
        return set(self._session.scalars(query))

    def glances(self, job_id: str, metric: str) -> list[Glance]:
        """All trials of a job by number, with the `validation_…` metric at their best epochs: light for a thousand."""
        value = TrialRow.metrics[("validation", metric.removeprefix("validation_"))].as_float()
        query = (
            select(TrialRow.id, TrialRow.number, TrialRow.state, TrialRow.params, TrialRow.notes, value)
            .where(TrialRow.job_id == job_id)
            .order_by(TrialRow.number)
        )
        return [Glance(*row) for row in self._session.execute(query)]

    def tallies(self, job_ids: Iterable[str]) -> dict[str, Tally]:
        """By job, in two queries however many there are."""
        live, done = TrialRow.state.in_(("queued", "running")), TrialRow.state.in_(("succeeded", "pruned"))
        counts = (
            select(
                TrialRow.job_id,
                func.coalesce(
                    func.max(case((TrialRow.state == "running", TrialRow.number))), func.max(TrialRow.number)
                ),
                func.sum(case((live, 0), else_=1)),
                func.sum(case((live, TrialRow.fraction), else_=0.0)),
                func.avg(case((done, TrialRow.seconds))),
            )
            .where(TrialRow.job_id.in_(list(job_ids)))
            .group_by(TrialRow.job_id)
        )
        counted = {row[0]: row[1:] for row in self._session.execute(counts)}
        shown = tuple_(TrialRow.job_id, TrialRow.number).in_([(job_id, row[0]) for job_id, row in counted.items()])
        newest = (
            select(TrialRow.job_id, TrialRow.seconds, func.count(EpochRow.epoch))
            .outerjoin(EpochRow, EpochRow.trial_id == TrialRow.id)
            .where(shown)
            .group_by(TrialRow.id)
        )
        current = {row[0]: row[1:] for row in self._session.execute(newest)} if counted else {}
        return {
            job_id: Tally(int(finished), float(fraction), mean, *current[job_id])
            for job_id, (_, finished, fraction, mean) in counted.items()
        }

    def first_failed(self, job_id: str) -> TrialRow | None:
        """The first of a job's failed trials."""
        failed = select(TrialRow).where(TrialRow.job_id == job_id, TrialRow.state == "failed")
        return self._session.scalars(failed.order_by(TrialRow.number).limit(1)).one_or_none()

    def curves(self, job_id: str, metric: str, epochs: Iterable[int] | None = None) -> dict[int, dict[int, float]]:
        """By trial number, the metric by epoch; at some `epochs` only, if they are given."""
        query = (
            select(TrialRow.number, EpochRow.epoch, EpochRow.record[metric].as_float())
            .join(EpochRow, EpochRow.trial_id == TrialRow.id)
            .where(TrialRow.job_id == job_id)
            .order_by(TrialRow.number, EpochRow.epoch)
        )
        if epochs is not None:
            query = query.where(EpochRow.epoch.in_(list(epochs)))
        curves: dict[int, dict[int, float]] = {}
        for number, epoch, value in self._session.execute(query):
            curves.setdefault(number, {})[epoch] = value
        return curves

    def last_values(self, job_id: str, metric: str, state: str) -> dict[int, tuple[int, float]]:
        """By number, the last epoch and its metric, of a job's trials in that state."""
        last = (
            select(EpochRow.trial_id, func.max(EpochRow.epoch).label("epoch"))
            .join(TrialRow, TrialRow.id == EpochRow.trial_id)
            .where(TrialRow.job_id == job_id, TrialRow.state == state)
            .group_by(EpochRow.trial_id)
            .subquery()
        )
        query = (
            select(TrialRow.number, EpochRow.epoch, EpochRow.record[metric].as_float())
            .join(last, (last.c.trial_id == EpochRow.trial_id) & (last.c.epoch == EpochRow.epoch))
            .join(TrialRow, TrialRow.id == EpochRow.trial_id)
        )
        return {number: (epoch, value) for number, epoch, value in self._session.execute(query)}

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

    def epochs_of(self, trial_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """By trial id, all epochs in order: one query for a page of trials."""
        query = (
            select(EpochRow.trial_id, EpochRow.record)
            .where(EpochRow.trial_id.in_(trial_ids))
            .order_by(EpochRow.trial_id, EpochRow.epoch)
        )
        found: dict[str, list[dict[str, Any]]] = {}
        for trial_id, record in self._session.execute(query):
            found.setdefault(trial_id, []).append(record)
        return found


def _of_jobs_that_may_run(most_devices: int | None) -> ColumnElement[bool]:
    return exists().where(JobRow.id == TrialRow.job_id, *_may_run(most_devices))


def _may_run(most_devices: int | None) -> list[ColumnElement[bool]]:
    """Of jobs whose trials may run, on so many devices at most."""
    state = JobRow.state.in_(("queued", "running"))
    return [state] if most_devices is None else [state, _DEVICES.between(1, most_devices)]
