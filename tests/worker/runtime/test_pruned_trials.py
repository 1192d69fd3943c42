"""A trial under its supervisor: what the pruner, the target and a better trial do to it."""

from pathlib import Path
from typing import Any

import pytest

from service.specs.tasks import RUN_TRIALS
from service.store import Store
from service.store.tables import TrialRow
from tests.nudges import Recorded
from tests.worker.runtime import children
from tests.worker.runtime.searching import add_search, claim, end, states, step
from tests.worker.runtime.test_claims import make_runtime
from tests.worker.training.orders import order as image_order
from tests.worker.training.orders import spec as image_spec
from worker.runtime.assignments import read_assignment
from worker.runtime.devices import Device
from worker.runtime.judging import is_beaten, is_judged
from worker.runtime.messages import GaveUp, Report
from worker.runtime.trials import TrialRun

MEDIAN = {"trials": 20, "parallel": 1, "pruner": "median", "training": {"epochs": 20}}


def epoch(number: int, loss: float) -> dict[str, Any]:
    return {"epoch": number, "seconds": 1.0, "validation_loss": loss, "validation_accuracy": 1.0 - loss}


def record(store: Store, lease: Any, *losses: float) -> None:
    with store.work() as work:
        for number, loss in enumerate(losses, start=1):
            work.trials.record_epoch(lease, epoch(number, loss))


def begun(store: Store, folder: Path) -> TrialRun:
    """The next trial, with its child running."""
    run = TrialRun(make_runtime(store, folder), claim(store), [Device("cpu", "", 1)])
    run._task = read_assignment(run.runtime, run.lease)
    run._spec = run._task.job_spec
    assert run._wish() == "look", "somebody may have asked for it to stop before"
    return run


def five_good_trials(store: Store, **tuning: Any) -> None:
    add_search(store, **{**MEDIAN, **tuning})
    for _ in range(5):
        lease = claim(store)
        record(store, lease, 0.5, 0.4, 0.3)
        end(store, lease, 0.3)


def test_a_trial_that_falls_behind_is_pruned_with_its_epochs(store: Store, tmp_path: Path) -> None:
    five_good_trials(store)
    run = begun(store, tmp_path)
    assert is_judged(run._task)
    run._record(Report("epoch", payload=epoch(1, 0.9)))
    assert (run._wish(), run._beat()) == ("go_on", "go_on")
    run._record(Report("epoch", payload=epoch(2, 0.8)))
    assert (run._wish(), run._beat()) == ("stop", "stop")
    run._conclude(GaveUp())
    with store.read() as work:
        trial = work.session.get(TrialRow, run.lease.row_id)
        assert trial is not None
        assert (trial.state, trial.stopped_by, trial.best_epoch) == ("pruned", "pruner", 2)
        assert len(work.trials.epochs(trial.id)) == 2
        told = [event.data for event in work.events.after("job_1", 0, 100) if event.data.get("state") == "pruned"]
    assert told == [{"number": 5, "state": "pruned", "stopped_by": "pruner", "best_epoch": 2}]
    assert states(store)[-1] == "queued"
    nudges = run.runtime.nudges
    assert isinstance(nudges, Recorded)
    assert nudges.sent == [RUN_TRIALS]


def test_a_trial_that_keeps_up_goes_on(store: Store, tmp_path: Path) -> None:
    five_good_trials(store)
    run = begun(store, tmp_path)
    for number in range(1, 4):
        run._record(Report("epoch", payload=epoch(number, 0.2)))
    assert run._wish() == "go_on"


def test_without_a_pruner_nobody_is_judged(store: Store, tmp_path: Path) -> None:
    five_good_trials(store, pruner="none")
    run = begun(store, tmp_path)
    assert not is_judged(run._task)
    for number in range(1, 4):
        run._record(Report("epoch", payload=epoch(number, 0.9)))
    assert run._wish() == "go_on"


def test_a_pruned_trial_of_a_cancelled_job_is_cancelled(store: Store, tmp_path: Path) -> None:
    five_good_trials(store)
    run = begun(store, tmp_path)
    for number in (1, 2):
        run._record(Report("epoch", payload=epoch(number, 0.9)))
    with store.work() as work:
        work.jobs.move("job_1", "cancelling")
    run._conclude(GaveUp())
    with store.read() as work:
        assert work.trials.get(run.lease.row_id).state == "cancelled"
        assert work.jobs.state_of("job_1") == "cancelled"


def test_the_target_stops_the_others(store: Store, tmp_path: Path) -> None:
    add_search(store, parallel=2, target_value=0.3)
    first = claim(store)
    step(store)
    run = begun(store, tmp_path)
    assert run._beat() == "go_on"
    end(store, first, 0.2)
    assert run._beat() == "stop"
    run._conclude(GaveUp())
    assert states(store) == ["succeeded", "cancelled"]


@pytest.mark.parametrize(
    ("metric", "value", "beaten"),
    [("validation_loss", 0.4, True), ("validation_loss", 0.3, True), ("validation_loss", 0.2, False),
     ("validation_accuracy", 0.6, True), ("validation_accuracy", 0.8, False)],
)  # fmt: skip
def test_files_of_a_trial_that_is_beaten_are_not_kept(
    store: Store, tmp_path: Path, metric: str, value: float, beaten: bool
) -> None:
    add_search(store, metric=metric)
    end(store, claim(store), 0.3)
    run = begun(store, tmp_path)
    metrics = {"validation": {metric.removeprefix("validation_"): value}}
    with store.read() as work:
        assert is_beaten(work, run._task, metrics) is beaten


def test_a_trials_time_is_what_is_left_of_the_jobs(store: Store, tmp_path: Path) -> None:
    add_search(store, limits={"wall_seconds": 1000})
    end(store, claim(store), 0.3)
    run = begun(store, tmp_path)
    record(store, run.lease, 0.5, 0.4)
    task = read_assignment(run.runtime, run.lease)
    assert task.seconds_left == pytest.approx(1000.0, abs=10.0)
    assert task.spent_seconds == 2.0


def test_a_trial_whose_ranks_lack_memory_begins_again_without_a_charge(store: Store, tmp_path: Path) -> None:
    add_search(store)
    devices = [Device("cpu", "", 1)]
    run = TrialRun(make_runtime(store, tmp_path), claim(store), devices, children.have_room_for_two)
    run._task = read_assignment(run.runtime, run.lease)
    run._spec = run._task.job_spec
    assert run._fitted(image_order(tmp_path, image_spec())) == GaveUp()
    with store.read() as work:
        assert work.trials.get(run.lease.row_id).attempt == 0
        told = [event for event in work.events.after("job_1", 0, 100) if event.type == "warning"]
    assert [event.message for event in told] == [f"Memory does not suffice for {size} samples." for size in (8, 4)]
    assert told[-1].data == {"number": 0, "micro_batch_size": 2}
