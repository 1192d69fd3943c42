"""The diagnosis of a job that is being closed, from its rows."""

import logging
from typing import Any

from service.specs.backbones import CATALOGUE, weights_known
from service.specs.diagnosis import Diagnosis
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts
from service.specs.search_space import trial_spec
from service.store import UnitOfWork
from service.store.tables import DatasetRow, JobRow, TrialRow
from worker.diagnosing.course import Course, Epoch, Scores
from worker.diagnosing.diagnosis import diagnose

log = logging.getLogger(__name__)
DIVERGED = "/problems/diverged"


def diagnose_job(work: UnitOfWork, job: JobRow, trial: TrialRow | None) -> dict[str, Any] | None:
    """What is to be said of a job by the trial that decided it, as stored; says so in an event too.

    None for a trial that failed of anything but divergence, and where diagnosing fails: that is logged with its
    reason and never fails the job.
    """
    if trial is None or (trial.problem is not None and trial.problem.get("type") != DIVERGED):
        return None
    dataset = work.datasets.find(job.project_id, job.dataset_id) if job.dataset_id else None
    at_hand = frozenset(name for name, kind in weights_known(work.workers.weights()).items() if kind != "none")
    records = work.trials.epochs(trial.id)
    try:
        diagnosis = diagnose(_course(job, trial, records, dataset, at_hand))
    except Exception:
        log.exception("job %s cannot be diagnosed", job.id)
        return None
    _announce(work, job.id, diagnosis)
    return diagnosis.model_dump()


def _course(
    job: JobRow,
    trial: TrialRow,
    records: list[dict[str, Any]],
    dataset: DatasetRow | None,
    pretrained_at_hand: frozenset[str],
) -> Course:
    metrics, params = trial.metrics or {}, trial.params or {}
    job_spec = JobSpec.model_validate(job.spec)
    profile = dataset.profile if dataset else None
    facts = DatasetFacts.of(dataset.modality, profile) if dataset and profile else DatasetFacts()
    spec = trial_spec(job_spec, params, facts) if job_spec.tuning else job_spec
    baseline = metrics.get("baseline") or {}
    return Course(
        spec=spec,
        job_spec=job_spec,
        params=params,
        epochs=tuple(Epoch.of(record) for record in records),
        classes=len((trial.config or {}).get("classes") or baseline.get("per_class") or ()),
        train=Scores.of(metrics.get("train")),
        validation=Scores.of(metrics.get("validation")),
        test=Scores.of(metrics.get("test")),
        baseline=Scores.of(baseline),
        best_epoch=trial.best_epoch,
        stopped_by=trial.stopped_by,
        parameters=(CATALOGUE[spec.backbone.name].parameters or None) if spec.backbone else None,
        dataset_warnings=frozenset(warning["code"] for warning in (dataset.warnings if dataset else [])),
        problem="diverged" if trial.problem else None,
        pretrained_at_hand=pretrained_at_hand,
    )


def _announce(work: UnitOfWork, job_id: str, diagnosis: Diagnosis) -> None:
    is_good = diagnosis.verdict == "good_fit"
    first = f"; first remedy: {diagnosis.remedies[0].id}" if diagnosis.remedies else ""
    message = f"diagnosis: {diagnosis.verdict} ({diagnosis.confidence:.0%}){first}"
    data = {"verdict": diagnosis.verdict, "confidence": diagnosis.confidence, "summary": diagnosis.summary}
    kind, level = ("log", "info") if is_good else ("warning", "warning")
    work.events.append(job_id, kind, message, level=level, data=data)  # type: ignore[arg-type]
