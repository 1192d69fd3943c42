"""Thirty kills over twenty queued jobs: each ends once, with one model and the same figures, and nothing is left."""

import hashlib
import logging
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from client.errors import TunelensError
from service.queue import CeleryNudges
from service.settings import Settings
from service.store import Store
from service.sweeper import ABANDONED_SECONDS, Sweeper
from tests.live import Live, job_spec, kill, live_service, squares, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
JOBS, KILLS, EPOCHS = 20, 30, 4
VICTIMS = {"trial": 18, "train worker": 4, "API": 5, "explain worker": 3}
PATIENCE_SECONDS = 240.0
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("many-kills")


@pytest.fixture(scope="module")
def live(data_dir: Path) -> Iterator[Live]:
    """Nobody is given up, and what dies is started again soon, however often it has died."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("client.children.LONGEST_PAUSE_SECONDS", 0.5)
        with live_service(data_dir, TUNELENS_MAX_ATTEMPTS="40", TUNELENS_TRAIN_SLOTS="2") as service:
            yield service


def test_thirty_random_kills_over_twenty_queued_jobs(live: Live, data_dir: Path) -> None:
    dataset = live.client.upload_dataset(squares(each=12), wait_seconds=60)
    spec = job_spec(dataset["id"], backbone="simple_nn", epochs=EPOCHS)
    job_ids = [live.client.submit_job(spec)["id"] for _ in range(JOBS)]
    store = Store(f"sqlite:///{data_dir / 'tunelens.db'}")
    victims = list(random.Random(11).sample([*VICTIMS], k=KILLS, counts=[*VICTIMS.values()]))
    started = time.monotonic()
    unfinished = [_kill(live, store.engine, victim, number) for number, victim in enumerate(victims, start=1)]
    jobs = [_settled(live, job_id) for job_id in job_ids]
    assert unfinished[-1] > 0, f"all jobs had ended before the last kill: {unfinished}"
    assert [job["state"] for job in jobs] == ["succeeded"] * JOBS
    assert all(job["metrics"] == jobs[0]["metrics"] for job in jobs), "a resumed trial is as good as an undisturbed one"
    charged = sum(_ended_once(store.engine, job) for job in jobs)
    assert charged >= VICTIMS["trial"] / 2, "the kills hit trials at work"
    seconds = time.monotonic() - started
    log.info("%s kills in %.0f s, %s attempts charged, unfinished %s", KILLS, seconds, charged, unfinished)
    _nothing_is_left(live, store, data_dir, jobs)
    store.close()


def _kill(live: Live, engine: Engine, victim: str, number: int) -> int:
    """Kills one after another epoch of any job, or at once; how many jobs were unfinished then."""
    goal = min(_count(engine, "SELECT count(*) FROM epochs") + number % 3, EPOCHS * JOBS - 4)
    until(lambda: _count(engine, "SELECT count(*) FROM epochs") >= goal, PATIENCE_SECONDS)
    unfinished = _count(engine, "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')")
    pid = until(lambda: _pid(live, victim), PATIENCE_SECONDS)
    try:
        kill(pid)
    except ProcessLookupError:  # it has ended by itself a moment ago
        return _kill(live, engine, victim, number)
    return unfinished


def _pid(live: Live, victim: str) -> int | None:
    if victim == "trial":
        return next(iter(live.trial_pids()), None)
    child = next(child for child in live.embedded.supervisor.children if child.title == victim)
    return child.pid if child.is_alive else None


def _settled(live: Live, job_id: str) -> dict[str, Any]:
    def settled() -> Any:
        try:
            job = live.client.get(job_id)
        except TunelensError:  # the API is just being started again
            return None
        return job if job["state"] in ("succeeded", "failed", "cancelled") else None

    found: dict[str, Any] = until(settled, PATIENCE_SECONDS)
    return found


def _ended_once(engine: Engine, job: dict[str, Any]) -> int:
    """How many attempts were charged to the job's trial."""
    of = {"job": job["id"]}
    with engine.connect() as connection:
        models = connection.execute(text("SELECT id FROM models WHERE job_id = :job"), of).scalars().all()
        events = connection.execute(
            text("SELECT seq, type, data FROM events WHERE job_id = :job ORDER BY seq"), of
        ).all()
        (attempt,) = connection.execute(text("SELECT attempt FROM trials WHERE job_id = :job"), of).scalars().all()
        epochs = connection.execute(
            text("SELECT epoch FROM epochs JOIN trials ON trials.id = trial_id WHERE job_id = :job ORDER BY epoch"), of
        )
        assert epochs.scalars().all() == list(range(1, EPOCHS + 1))
    assert models == [job["model_id"]]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ends = [event for event in events if event.type == "state" and '"succeeded"' in event.data]
    assert len(ends) == 1
    assert ends[0].seq == len(events), "nothing happens to a job that has ended"
    return int(attempt)


def _nothing_is_left(live: Live, store: Store, data_dir: Path, jobs: list[dict[str, Any]]) -> None:
    """No process, file, artifact or chunk of a killed attempt, once the sweeper has come by a day later."""
    until(lambda: live.trial_pids() == [])
    until(lambda: _files(data_dir / "scratch") == [])
    until(lambda: _files(data_dir / "broker" / "messages") == [])
    assert _strangers(live, data_dir) == []
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE artifacts SET created_at = created_at - :day"), {"day": 2 * ABANDONED_SECONDS})
    settings = Settings(data_dir=data_dir)
    Sweeper(store, CeleryNudges(settings), settings).sweep(time.monotonic())
    orphans = """SELECT count(*) FROM artifacts WHERE owner_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM (SELECT id FROM datasets UNION ALL SELECT id FROM jobs UNION ALL SELECT id FROM models) AS owners
        WHERE owners.id = owner_id)"""
    assert _count(store.engine, orphans) == 0
    chunks = "SELECT count(*) FROM artifact_chunks WHERE artifact_id NOT IN (SELECT id FROM artifacts)"
    assert _count(store.engine, chunks) == 0
    for job in jobs:
        for artifact in live.client.get(job["model_id"])["artifacts"]:
            data = live.client.download(artifact["url"])
            assert isinstance(data, bytes)
            assert hashlib.sha256(data).hexdigest() == artifact["sha256"]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _strangers(live: Live, data_dir: Path) -> list[int]:
    """Processes that were started for this data directory and whose ancestors are not the service's."""
    own = {os.getpid(), *(child.pid for child in live.embedded.supervisor.children)}
    parents: dict[int, int] = {}
    mine = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if str(data_dir).encode() in (entry / "environ").read_bytes():
                    mine.add(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue

    def is_ours(pid: int) -> bool:
        return pid in own or (pid in parents and is_ours(parents[pid]))

    return [pid for pid in mine if not is_ours(pid)]


def _count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())
