"""What is lost comes back, once; what is only slow is left alone."""

from pathlib import Path

from sqlalchemy import func, select, update

from service.settings import Settings
from service.specs.tasks import ADVANCE_JOB, EXPORT_MODELS, PREDICT, QUEUES, RUN_TRIALS, VALIDATE_DATASETS
from service.store import Store
from service.store.engine import now_seconds
from service.store.tables import ArtifactRow, ChunkRow, DatasetRow, ExportRow, TrialRow
from service.sweeper import Sweeper
from tests.nudges import Recorded
from tests.rows import add_dataset, add_job, add_model, add_prediction, add_project
from tests.statements import sent


def make_sweeper(store: Store, *, serve: tuple[str, ...] = QUEUES) -> tuple[Sweeper, Recorded]:
    """With workers that serve these queues."""
    nudges = Recorded()
    with store.work() as work:
        work.workers.seen("worker", list(serve), {})
    settings = Settings(data_dir=Path("/nowhere"), sweep_seconds=10.0, expiry_sightings_apart_seconds=15.0)
    return Sweeper(store, nudges, settings), nudges


def make_expired(store: Store) -> tuple[str, str]:
    job_id, (trial_id,) = add_job(store, add_project(store))
    with store.work() as work:
        work.trials.claim("gone", 30.0)
        work.jobs.move(job_id, "running")
        work.session.execute(update(TrialRow).values(lease_expires_at=now_seconds() - 5.0))
    return job_id, trial_id


def test_a_lost_nudge_is_sent_again(store: Store) -> None:
    project = add_project(store)
    add_job(store, project)
    add_dataset(store, project)
    add_prediction(store, project)
    sweeper, nudges = make_sweeper(store)
    sweeper.sweep(now=0.0)
    assert nudges.sent == []
    with store.work() as work:
        for table in (TrialRow, DatasetRow):
            work.session.execute(update(table).values(queued_at=now_seconds() - 60.0))
    sweeper.sweep(now=10.0)
    assert nudges.sent == [RUN_TRIALS, VALIDATE_DATASETS]
    assert PREDICT not in nudges.sent


def test_where_nobody_takes_nudges_none_are_sent(store: Store) -> None:
    """They would pile up until the broker is full; a worker that starts looks for work by itself."""
    project = add_project(store)
    add_job(store, project)
    add_dataset(store, project)
    with store.work() as work:
        for table in (TrialRow, DatasetRow):
            work.session.execute(update(table).values(queued_at=now_seconds() - 60.0))
    sweeper, nudges = make_sweeper(store, serve=("control",))
    sweeper.sweep(now=0.0)
    assert nudges.sent == [VALIDATE_DATASETS]


def test_a_paused_job_waits_for_nobody(store: Store) -> None:
    job_id, _ = add_job(store, add_project(store))
    with store.work() as work:
        work.session.execute(update(TrialRow).values(queued_at=now_seconds() - 60.0))
        assert (work.trials.leases.tally().waiting, work.trials.leases.waiting(0.0)) == (1, 1)
        for state in ("running", "pausing", "paused"):
            work.jobs.move(job_id, state)
        assert (work.trials.leases.tally().waiting, work.trials.leases.waiting(0.0)) == (0, 0)
    sweeper, nudges = make_sweeper(store)
    sweeper.sweep(now=0.0)
    assert nudges.sent == []


def test_one_sighting_is_not_enough(store: Store) -> None:
    _, trial_id = make_expired(store)
    sweeper, _ = make_sweeper(store)
    sweeper.sweep(now=100.0)
    sweeper.sweep(now=114.9)
    with store.read() as work:
        assert work.trials.get(trial_id).state == "running"
    sweeper.sweep(now=115.0)
    with store.read() as work:
        row = work.trials.get(trial_id)
        assert (row.state, row.attempt, row.lease_owner) == ("queued", 1, None)


def test_two_sweepers_charge_once(store: Store) -> None:
    job_id, trial_id = make_expired(store)
    sweepers = [make_sweeper(store)[0] for _ in range(2)]
    for now in (0.0, 20.0, 40.0):
        for sweeper in sweepers:
            sweeper.sweep(now)
    with store.read() as work:
        assert work.trials.get(trial_id).attempt == 1
        lost = [event for event in work.events.after(job_id, 0, 100) if event.type == "trial"]
    assert [event.data["state"] for event in lost] == ["queued"]


def test_a_lease_renewed_after_an_outage_is_kept(store: Store) -> None:
    _, trial_id = make_expired(store)
    sweeper, _ = make_sweeper(store)
    sweeper.sweep(now=0.0)
    with store.work() as work:
        work.session.execute(update(TrialRow).values(lease_expires_at=now_seconds() + 30.0))
    sweeper.sweep(now=20.0)
    with store.work() as work:
        assert work.trials.get(trial_id).state == "running"
        work.session.execute(update(TrialRow).values(lease_expires_at=now_seconds() - 1.0))
    sweeper.sweep(now=30.0)
    with store.read() as work:
        assert work.trials.get(trial_id).state == "running"


def test_a_job_without_live_trials_is_closed_by_a_worker(store: Store) -> None:
    job_id, _ = make_expired(store)
    with store.work() as work:
        work.session.execute(update(TrialRow).values(state="failed", lease_owner=None))
    sweeper, nudges = make_sweeper(store)
    sweeper.sweep(now=0.0)
    assert nudges.sent == [ADVANCE_JOB]
    assert job_id


def test_an_export_is_nudged_taken_back_and_given_up(store: Store) -> None:
    model = add_model(store, add_project(store))
    with store.work() as work:
        row, _ = work.exports.ask(model, "onnx")
        work.session.execute(update(ExportRow).values(queued_at=now_seconds() - 60.0))
    sweeper, nudges = make_sweeper(store)
    sweeper.sweep(now=0.0)
    assert nudges.sent == [EXPORT_MODELS]
    for attempt in (1, 2, 3):
        with store.work() as work:
            assert work.exports.leases.claim("gone", 30.0) is not None
            work.session.execute(update(ExportRow).values(lease_expires_at=now_seconds() - 5.0))
        sweeper.sweep(now=attempt * 100.0)
        sweeper.sweep(now=attempt * 100.0 + 15.0)
        with store.read() as work:
            found = work.exports.get(row.id)
            assert found is not None
            assert (found.state, found.attempt) == ("failed" if attempt == 3 else "queued", attempt)
    assert nudges.sent == [EXPORT_MODELS] * 3
    assert found.problem is not None
    assert found.problem["type"] == "/problems/worker-lost"


def test_abandoned_bytes_go(store: Store) -> None:
    kept, gone = store.artifacts.write(b"kept", "text/plain"), store.artifacts.write(b"gone", "text/plain")
    with store.work() as work:
        for artifact in (kept, gone):
            work.artifacts.attach({"name": artifact}, artifact.id)
        work.artifacts.abandon(gone.id)
    make_sweeper(store)[0].sweep(now=0.0)
    with store.read() as work:
        assert work.session.get(ArtifactRow, gone.id) is None
        assert work.artifacts.find(kept.id, "name") is not None


def abandon(store: Store, count: int) -> None:
    """Files of one owner, each with a chunk of its own."""
    with store.work() as work:
        files = {str(number): store.artifacts.hold(b"gone", "text/plain") for number in range(count)}
        work.artifacts.attach(files, "owner")
        work.artifacts.abandon("owner")


def left(store: Store) -> list[int]:
    """Rows of artifacts and of their chunks."""
    with store.read() as work:
        return [work.session.scalar(select(func.count()).select_from(table)) or 0 for table in (ArtifactRow, ChunkRow)]


def test_many_abandoned_bytes_go_in_one_round_in_few_statements(store: Store) -> None:
    abandon(store, 600)
    with sent(store) as noted:
        make_sweeper(store)[0].sweep(now=0.0)
    assert left(store) == [0, 0]
    assert len([one for one, _ in noted.statements if one.startswith("DELETE FROM artifact")]) < 600 / 8


def test_bytes_keep_no_lease_waiting(store: Store) -> None:
    """A round that has no time left forgets some of them, and the next ones more."""
    abandon(store, 300)
    sweeper, _ = make_sweeper(store)
    sweeper.settings.sweep_seconds = -1.0
    counts = []
    for _ in range(2):
        sweeper.sweep(now=0.0)
        counts.append(left(store))
    assert counts == [[44, 44], [0, 0]]
