"""Trials taken from the queue, and what is left of those that are over."""

import shutil

from service.store import Lease, UnitOfWork
from service.store.jobs import TERMINAL
from worker.runtime.advance import advance
from worker.runtime.context import Runtime


def claim_trial(runtime: Runtime) -> Lease | None:
    """The next trial for this worker; its job runs from here on."""
    while True:
        with runtime.store.work() as work:
            lease = work.trials.claim(runtime.worker_id, runtime.settings.lease_seconds)
            if lease is None:
                return None
            if _begin(work, lease):
                work.after_commit(runtime.nudges.announce)
                return lease


def _begin(work: UnitOfWork, lease: Lease) -> bool:
    """Says that the trial runs; puts it back where its job was paused or cancelled in the very moment of the claim."""
    trial = work.trials.get(lease.row_id)
    job = work.jobs.lock(trial.job_id)
    if job is None or job.state in ("cancelling", *TERMINAL):
        work.trials.leases.finish(lease, "cancelled")
        advance(work, trial.job_id)
        return False
    if job.state not in ("queued", "running"):
        work.trials.leases.release(lease)
        advance(work, trial.job_id)
        return False
    work.jobs.move(trial.job_id, "running")
    data = {"number": trial.number, "state": "running", "attempt": trial.attempt}
    work.events.append(trial.job_id, "trial", f"trial {trial.number} running", data=data)
    return True


def remove_old_scratch(runtime: Runtime) -> None:
    """Removes the scratch of trials that can no longer go on from it."""
    folders = {path.name: path for path in (runtime.settings.scratch / "trials").glob("*")}
    if folders:
        with runtime.store.read() as work:
            live = work.trials.live(folders)
        for name in folders.keys() - live:
            shutil.rmtree(folders[name], ignore_errors=True)
