"""Trials taken from the queue."""

from dataclasses import dataclass

from service.store import Lease, UnitOfWork
from service.store.jobs import TERMINAL
from worker.runtime.advance import advance
from worker.runtime.context import Runtime
from worker.runtime.devices import Device
from worker.runtime.proving import prove_devices


@dataclass(frozen=True)
class Claimed:
    """A trial with the devices that it was promised, to be given back when it is over."""

    lease: Lease
    devices: list[Device]


def claim_trial(runtime: Runtime) -> Claimed | None:
    """The next trial for this worker, and all its devices; its job runs from here on.

    Trials come by age. One that needs more devices than are free keeps younger ones from taking them, or it would wait
    for ever; one that needs more than this worker has is left to others.
    """
    devices = runtime.devices
    with devices.claiming:
        prove_devices(runtime)
        while free := devices.free:
            with runtime.store.work() as work:
                wanted = work.trials.devices_wanted(devices.most)
                if wanted is None or wanted > free:
                    return None
                lease = work.trials.claim(runtime.worker_id, runtime.settings.lease_seconds, most_devices=free)
                if lease is None:
                    return None
                count = work.trials.devices_of(lease.row_id)
                if not _begin(work, lease):
                    continue
                work.after_commit(runtime.nudges.announce)
            return Claimed(lease, devices.take(count))
    return None


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
