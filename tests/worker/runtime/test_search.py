"""A search as a matter of rows: who makes trials, how many, when it ends, and what is left of the losers."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, update

from service.specs.points import early_params
from service.specs.search_space import Params
from service.store import Store
from service.store.engine import now_seconds
from service.store.tables import ArtifactRow, JobRow, TrialRow
from tests.searches import SPACE, search_spec
from tests.worker.runtime.searching import PROBLEM, RANDOM, add_search, claim, end, job_of, run, states, step
from worker.runtime.advance import Drawn, Proposed, Step
from worker.runtime.search import read_records
from worker.tuning.records import Proposal


def test_the_best_of_all_becomes_the_model(store: Store) -> None:
    add_search(store)
    job = run(store, 0.5, 0.3, "failed", 0.2, "pruned", 0.4)
    assert (job.state, job.best_trial, job.trials_total) == ("succeeded", 3, 6)
    assert job.metrics == {"validation": {"loss": 0.2, "accuracy": 0.8}, "test": {"loss": -0.2}, "baseline": None}
    with store.read() as work:
        told = [event.data for event in work.events.after("job_1", 0, 100) if event.type == "trial"]
        rows = work.trials.of("job_1")
    spec = search_spec(**RANDOM)
    assert [row.params for row in rows] == [early_params(spec, number) for number in range(6)]
    assert [data["params"] for data in told if data["state"] == "queued"] == [row.params for row in rows[1:]]


def test_only_the_best_so_far_keeps_its_weights(store: Store) -> None:
    add_search(store)
    owners = []
    for outcome in (0.5, 0.3, 0.4, 0.2):
        lease = claim(store)
        step(store)
        end(store, lease, outcome)
        with store.read() as work:
            owners.append([row.owner_id for row in work.session.query(ArtifactRow) if row.owner_id])
            numbers = {row.id: row.number for row in work.trials.of("job_1")}
    assert [[numbers[owner] for owner in owned] for owned in owners] == [[0], [1], [1], [3]]


def test_a_job_fails_only_if_no_trial_succeeds_and_says_why_the_first_failed(store: Store) -> None:
    add_search(store, trials=3)
    job = run(store, *["failed"] * 3)
    assert (job.state, job.problem) == ("failed", PROBLEM | {"detail": "trl_0"})


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_live_trials_never_pass_the_cap_nor_trials_the_total(store: Store, parallel: int) -> None:
    """Six deciders at once, again and again, on rows that change under them."""
    add_search(store, parallel=parallel, trials=7)
    with ThreadPoolExecutor(6) as pool:
        for _ in range(7):
            lease = claim(store)
            list(pool.map(lambda _: step(store), range(12)))
            live = [state for state in states(store) if state in ("queued", "running")]
            assert len(live) == min(parallel, 7 - len(states(store)) + len(live))
            with store.work() as work:
                work.trials.leases.finish(lease, "failed", problem=PROBLEM)
            list(pool.map(lambda _: step(store), range(6)))
    assert (len(states(store)), job_of(store).state) == (7, "failed")


def test_trials_are_the_same_in_whatever_order_they_end(store: Store) -> None:
    add_search(store, parallel=3, trials=6)
    spec = search_spec(**{**RANDOM, "parallel": 3, "trials": 6})
    held = [claim(store)]
    step(store)
    held += [claim(store), claim(store)]
    while held:
        end(store, held.pop(), 0.5)
        step(store)
        with store.work() as work:
            lease = work.trials.claim("tester", 30.0)
        held = [lease, *held] if lease else held
    with store.read() as work:
        assert [row.params for row in work.trials.of("job_1")] == [early_params(spec, n) for n in range(6)]


@pytest.mark.parametrize(
    ("rules", "outcomes", "reason"),
    [
        ({"target_value": 0.3}, (0.5, 0.25), "target"),
        ({"max_trials_without_improvement": 2}, (0.5, 0.6, 0.7), "no_improvement"),
        ({"limits": {"wall_seconds": 1000}}, (0.5, 0.6), "limit"),
    ],
)
def test_a_search_that_ends_early(
    store: Store, rules: dict[str, Any], outcomes: tuple[float, ...], reason: str
) -> None:
    add_search(store, trials=20, **rules)
    *first, last = outcomes
    run(store, *first)
    if reason == "limit":
        with store.work() as work:
            work.session.execute(update(JobRow).values(running_since=now_seconds() - 2000.0))
    job = run(store, last)
    assert (job.state, job.trials_total, job.best_trial) == (
        "succeeded",
        len(states(store)),
        outcomes.index(min(outcomes)),
    )
    assert set(states(store)) <= {"succeeded", "cancelled"}
    with store.read() as work:
        logs = [event.data for event in work.events.after("job_1", 0, 100) if event.type == "log"]
    assert logs == [{"reason": reason}]


def test_pauses_do_not_count_as_time(store: Store) -> None:
    add_search(store)
    lease = claim(store)
    with store.work() as work:
        work.session.execute(update(JobRow).values(running_since=now_seconds() - 100.0))
        work.jobs.move("job_1", "pausing")
        work.trials.leases.release(lease)
    step(store)
    with store.work() as work:
        work.session.execute(update(JobRow).values(started_at=now_seconds() - 5000.0))
        assert work.jobs.run_seconds("job_1") == pytest.approx(100.0, abs=5.0)
        work.jobs.move("job_1", "queued")
        assert work.jobs.run_seconds("job_1") == pytest.approx(100.0, abs=5.0)
        work.jobs.move("job_1", "running")
        work.session.execute(update(JobRow).values(running_since=now_seconds() - 10.0))
        assert work.jobs.run_seconds("job_1") == pytest.approx(110.0, abs=5.0)


def test_pausing_waits_for_all_and_keeps_the_rest_for_later(store: Store) -> None:
    add_search(store, parallel=2)
    one = claim(store)
    step(store)
    two = claim(store)
    with store.work() as work:
        work.jobs.move("job_1", "pausing")
    assert end(store, one, 0.5) == Step()
    assert job_of(store).state == "pausing"
    with store.work() as work:
        work.trials.leases.release(two)
    step(store)
    assert (job_of(store).state, states(store)) == ("paused", ["succeeded", "queued"])
    with store.work() as work:
        work.jobs.move("job_1", "queued")
    assert step(store).made == 1


def test_a_search_paused_between_two_trials_goes_on(store: Store) -> None:
    add_search(store, parallel=1)
    lease = claim(store)
    with store.work() as work:
        work.jobs.move("job_1", "pausing")
    end(store, lease, 0.5)
    assert (job_of(store).state, states(store)) == ("paused", ["succeeded"])
    with store.work() as work:
        work.jobs.move("job_1", "queued")
        assert work.jobs.without_live_trials() == ["job_1"]
    assert (step(store).made, states(store)) == (1, ["succeeded", "queued"])


def test_cancelling_ends_what_waits_at_once_and_the_rest_when_it_stops(store: Store) -> None:
    add_search(store, parallel=3)
    lease = claim(store)
    step(store)
    with store.work() as work:
        work.jobs.move("job_1", "cancelling")
    step(store)
    assert (job_of(store).state, states(store)) == ("cancelling", ["running", "cancelled", "cancelled"])
    end(store, lease, "cancelled")
    assert job_of(store).state == "cancelled"
    assert step(store) == Step()


def test_what_depends_on_results_is_asked_for_without_the_lock(store: Store) -> None:
    add_search(store, strategy="bayesian", trials=12, parallel=1)
    run(store, *[0.5] * 10)
    assert step(store) == Step(0, "proposal", 10)
    params: Params = {path: 0.5 if "choices" not in SPACE[path] else 16 for path in SPACE}
    assert step(store, Proposed(9, Proposal(params))) == Step(0, "proposal", 10)
    assert step(store, Proposed(10, Proposal(params, {"cma:generation": 3}))) == Step(1)
    assert step(store, Proposed(10, Proposal(params))) == Step()
    with store.read() as work:
        glance = work.trials.glances("job_1", "validation_loss")[-1]
        assert (glance.number, glance.params, glance.notes) == (10, params, {"cma:generation": 3})


def test_pictures_come_with_the_model_or_not_at_all(store: Store) -> None:
    add_search(store, trials=1)
    end(store, claim(store), 0.5)
    assert (step(store).wants, job_of(store).state) == ("pictures", "running")
    step(store, Drawn({"tuning_history.json": store.artifacts.hold(b"{}", "application/json")}))
    job = job_of(store)
    with store.read() as work:
        assert job.model_id is not None
        assert {artifact.name for artifact in work.artifacts.of(job.model_id)} == {
            "model.safetensors",
            "tuning_history.json",
        }


def test_curves_are_read_as_they_are_needed(store: Store) -> None:
    add_search(store)
    for outcome in (0.5, "pruned"):
        lease = claim(store)
        step(store)
        with store.work() as work:
            for epoch in (1, 2, 3):
                work.trials.record_epoch(lease, {"epoch": epoch, "seconds": 1.0, "validation_loss": epoch / 10})
        end(store, lease, outcome)
    with store.read() as work:
        assert work.trials.curves("job_1", "validation_loss") == {
            0: {1: 0.1, 2: 0.2, 3: 0.3},
            1: {1: 0.1, 2: 0.2, 3: 0.3},
        }
        assert work.trials.curves("job_1", "validation_loss", [2]) == {0: {2: 0.2}, 1: {2: 0.2}}
        assert work.trials.last_values("job_1", "validation_loss", "pruned") == {1: (3, 0.3)}
        tally = work.trials.tallies(["job_1", "job_none"])["job_1"]
    assert (tally.finished, tally.mean_seconds, tally.epochs) == (2, 3.0, 0)


def test_a_sampler_reads_any_number_of_trials_in_the_same_statements(store: Store) -> None:
    add_search(store, trials=100)
    seen: list[object] = []

    def counted(*executed: object) -> None:
        seen.append(executed[2])

    def statements() -> int:
        seen.clear()
        with store.read() as work:
            records = read_records(work, "job_1", search_spec(**RANDOM))
        assert records[-1].params == {"training.learning_rate": float(len(records))}
        return len(seen)

    event.listen(store.engine, "before_cursor_execute", counted)
    try:
        found = []
        for upto in (5, 100):
            with store.work() as work:
                for number in range(len(work.trials.of("job_1")), upto):
                    params = {"training.learning_rate": float(number + 1)}
                    row = TrialRow(id=f"trl_{number}", job_id="job_1", number=number, state="pruned", params=params)
                    work.trials.add(row)
            found.append(statements())
    finally:
        event.remove(store.engine, "before_cursor_execute", counted)
    assert 0 < found[0] == found[1]
