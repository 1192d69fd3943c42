"""What a claimed trial is about: its job, its own spec, and the order for the child that fits it."""

import math
from dataclasses import dataclass

from pydantic import ValidationError

from service.errors import ArtifactCorrupt, Invalid
from service.specs.base import rule_in_words
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts
from service.specs.search_space import trial_spec
from service.specs.tuning import TuningSpec
from service.store import Lease, UnitOfWork
from service.store.datasets import MANIFEST
from service.store.tables import DatasetRow, TrialRow
from worker.data.disk_cache import Entry
from worker.runtime.archives import fetch_archive, find_contents, read_manifest
from worker.runtime.context import Runtime
from worker.runtime.devices import Device
from worker.runtime.search import records_of
from worker.training.order import ToBeat, TrialOrder
from worker.tuning.records import best_of


@dataclass(frozen=True)
class Assignment:
    """One trial of a job.

    Attributes:
        job_spec: as the client sees it, with the tuning.
        spent_seconds: of this trial, in epochs that are recorded.
        seconds_left: of the job's time limit.
    """

    job_id: str
    number: int
    job_spec: JobSpec
    params: dict[str, object]
    dataset_id: str
    spent_seconds: float
    seconds_left: float

    @property
    def tuning(self) -> TuningSpec | None:
        """The search that the trial is part of."""
        return self.job_spec.tuning


def read_assignment(runtime: Runtime, lease: Lease) -> Assignment:
    """What the lease's trial is about."""
    with runtime.store.read() as work:
        trial: TrialRow = work.trials.get(lease.row_id)
        job = work.jobs.get(trial.job_id)
        assert job is not None
        spec = JobSpec.model_validate(job.spec)
        return Assignment(
            job_id=job.id,
            number=trial.number,
            job_spec=spec,
            params=dict(trial.params),
            dataset_id=job.dataset_id or "",
            spent_seconds=trial.seconds,
            seconds_left=spec.limits.wall_seconds - work.jobs.run_seconds(job.id),
        )


def make_order(runtime: Runtime, lease: Lease, device: Device, assignment: Assignment) -> tuple[TrialOrder, Entry]:
    """The order for the trial's child on `device`, and the archive that it names, to be closed when the trial is over.

    The trial's time limit is what is left of the job's.

    Raises:
        ArtifactCorrupt: the dataset is gone, or its bytes are not what they were.
        Invalid: the parameters do not go together.
        OSError: the files cannot be written.
    """
    settings, store = runtime.settings, runtime.store
    with store.read() as work:
        dataset = work.session.get(DatasetRow, assignment.dataset_id)
        archive = find_contents(work, dataset.modality, dataset.id) if dataset else None
        manifest = work.artifacts.find(assignment.dataset_id, MANIFEST)
        to_beat = _to_beat(work, assignment)
    if dataset is None or archive is None or manifest is None:
        raise ArtifactCorrupt("The dataset is gone.")
    spec = _effective(assignment, dataset)
    scratch = settings.scratch / "trials" / lease.row_id
    scratch.mkdir(parents=True, exist_ok=True)
    samples = read_manifest(store, dataset.modality, manifest)
    fetched = fetch_archive(store, archive, runtime.cache)
    order = TrialOrder(
        spec=spec,
        archive=fetched.path,
        manifest=samples,
        dataset_digest=archive.sha256,  # of one table, what was asked of its columns makes two datasets
        scratch=scratch,
        cache=runtime.cache,
        sources=runtime.weight_sources,
        device=device.name,
        threads=device.threads,
        neighbours=max(1, runtime.devices.count),
        to_beat=to_beat,
        upload_digest=dataset.digest,
        draws=assignment.tuning is None,
    )
    return order, fetched


def _to_beat(work: UnitOfWork, assignment: Assignment) -> ToBeat | None:
    if assignment.tuning is None:
        return None
    metric = assignment.tuning.metric
    best = best_of(metric, records_of(work.trials.glances(assignment.job_id, metric)))
    return ToBeat(metric, best.value) if best is not None and best.value is not None else None


def _effective(assignment: Assignment, dataset: DatasetRow) -> JobSpec:
    spec = assignment.job_spec
    if spec.tuning is not None:
        facts = DatasetFacts.of(dataset.modality, dataset.profile or {})
        try:
            spec = trial_spec(spec, assignment.params, facts)  # type: ignore[arg-type]
        except ValidationError as error:
            rule = rule_in_words(error.errors()[0])
            raise Invalid(f"The trial's parameters do not go together: {rule}") from error
    wall = max(1, math.ceil(assignment.seconds_left + assignment.spent_seconds))
    return spec.model_copy(update={"limits": spec.limits.model_copy(update={"wall_seconds": wall})})
