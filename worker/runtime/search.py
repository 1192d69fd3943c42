"""A job's search as its rows tell it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.specs.jobs import JobSpec
from service.specs.points import trials_planned
from service.store import UnitOfWork
from service.store.tables import JobRow
from service.store.trials import Glance
from worker.tuning.records import Reason, Record, best_of, ending


@dataclass(frozen=True)
class Search:
    """Where a job's search stands; a job without tuning is a search of the trials that it has.

    Attributes:
        glances, records: the trials by number, as rows and as the search's own records.
        ended_by: why no more trials are made though some are missing.
    """

    spec: JobSpec
    glances: list[Glance]
    records: list[Record]
    best: Record | None
    ended_by: Reason | None

    @property
    def is_tuned(self) -> bool:
        """Whether there is more to it than one trial."""
        return self.spec.tuning is not None

    @property
    def running(self) -> int:
        """Trials with a worker."""
        return sum(record.state == "running" for record in self.records)

    @property
    def queued(self) -> int:
        """Trials that wait for a worker; none once the search has ended."""
        return 0 if self.ended_by else sum(record.state == "queued" for record in self.records)

    @property
    def planned(self) -> int:
        """How many trials there are if nothing ends the search early."""
        return trials_planned(self.spec) if self.is_tuned else len(self.records)

    @property
    def missing(self) -> int:
        """Trials that are still to be made."""
        return 0 if self.ended_by else max(0, self.planned - len(self.records))

    @property
    def free_places(self) -> int:
        """Trials that may be made now."""
        parallel = self.spec.tuning.parallel if self.spec.tuning else 1
        return max(0, min(self.missing, parallel - self.running - self.queued))

    def id_of(self, record: Record) -> str:
        """The row's id."""
        return next(glance.id for glance in self.glances if glance.number == record.number)


def read_search(work: UnitOfWork, job: JobRow) -> Search:
    """The search of a job, read afresh."""
    spec = JobSpec.model_validate(job.spec)
    metric = spec.tuning.metric if spec.tuning else spec.early_stopping.monitor if spec.early_stopping else None
    glances = work.trials.glances(job.id, metric or "validation_loss")
    records = records_of(glances)
    ended_by = None
    if spec.tuning is not None:
        left = spec.limits.wall_seconds - work.jobs.run_seconds(job.id)
        ended_by = ending(spec.tuning, records, seconds_left=left)
    return Search(spec, glances, records, best_of(metric or "validation_loss", records), ended_by)


def read_records(work: UnitOfWork, job_id: str, spec: JobSpec) -> list[Record]:
    """All that a sampler looks at: records with the last epoch of pruned trials."""
    assert spec.tuning is not None
    last = work.trials.last_values(job_id, spec.tuning.metric, "pruned")
    glances = work.trials.glances(job_id, spec.tuning.metric)
    return records_of(glances, {number: {epoch: value} for number, (epoch, value) in last.items()})


def records_of(glances: Iterable[Glance], curves: Mapping[int, dict[int, float]] | None = None) -> list[Record]:
    """Rows as records; `curves` by number."""
    known = curves or {}
    return [
        Record(
            number=glance.number,
            state=glance.state,  # type: ignore[arg-type]
            params=glance.params,
            value=glance.value,
            curve=known.get(glance.number, {}),
            notes=glance.notes or {},
        )
        for glance in glances
    ]
