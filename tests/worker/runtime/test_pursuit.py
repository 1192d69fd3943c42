"""What a step has to be told is found out in real children, and a child that breaks does not break the search."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.specs.points import random_point
from service.store import Store
from tests.architecture.tree import ROOT
from tests.nudges import Recorded
from tests.searches import SPACE, loss, search_spec
from tests.worker.runtime import children
from tests.worker.runtime.searching import add_search, claim, end, job_of, states, step
from tests.worker.runtime.test_claims import make_runtime
from worker.runtime import pursuit
from worker.runtime.pursuit import pursue
from worker.runtime.search import read_records, read_search
from worker.tasks.registry import advance_jobs
from worker.tuning.study import ask


def ten_trials(store: Store, **tuning: Any) -> None:
    add_search(store, strategy="bayesian", parallel=1, **tuning)
    for number in range(10):
        lease = claim(store)
        params = random_point(search_spec(), number)
        end(store, lease, 0.1 + loss(params))
        step(store)


def last_params(store: Store) -> Any:
    with store.read() as work:
        return work.trials.of("job_1")[-1].params


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_answers_from_its_child(sqlite_store: Store, tmp_path: Path, sampler: str) -> None:
    ten_trials(sqlite_store, sampler=sampler, trials=12)
    spec = search_spec(strategy="bayesian", sampler=sampler, trials=12)
    with sqlite_store.read() as work:
        records = read_records(work, "job_1", spec)
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    assert (len(states(sqlite_store)), states(sqlite_store)[-1]) == (11, "queued")
    assert last_params(sqlite_store) == ask(spec, records).params


def test_a_sampler_that_breaks_is_replaced_by_chance(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pursuit, "work_proposal", children.die)
    ten_trials(sqlite_store, trials=12)
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    assert last_params(sqlite_store) == random_point(search_spec(), 10)
    with sqlite_store.read() as work:
        warnings = [event.message for event in work.events.after("job_1", 0, 100) if event.level == "warning"]
    assert warnings == ["The sampler failed: trial 10 is drawn at random."]


def test_pictures_are_drawn_before_the_job_is_closed(sqlite_store: Store, tmp_path: Path) -> None:
    ten_trials(sqlite_store, trials=10)
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    job = job_of(sqlite_store)
    assert job.state == "succeeded"
    assert job.model_id is not None
    with sqlite_store.read() as work:
        names = {artifact.name for artifact in work.artifacts.of(job.model_id)}
    assert {f"{name}.png" for name in ("tuning_history", "parameter_importances", "parallel_coordinate")} <= names


def test_of_the_winner_alone_the_course_is_drawn(sqlite_store: Store, tmp_path: Path) -> None:
    ten_trials(sqlite_store, trials=10)
    with sqlite_store.work() as work:
        job = work.jobs.get("job_1")
        assert job is not None
        search = read_search(work, job)
        assert search.best is not None
        epochs = [
            {"epoch": 1, "train_loss": 0.7, "validation_loss": 0.8, "train_accuracy": 0.5, "validation_accuracy": 0.4},
            {"epoch": 2, "train_loss": 0.6, "validation_loss": 0.7, "train_accuracy": 0.6, "validation_accuracy": 0.5},
        ]
        curves = sqlite_store.artifacts.hold(
            json.dumps({"best_epoch": 2, "epochs": epochs}).encode(), "application/json"
        )
        work.artifacts.attach({"curves.json": curves}, search.id_of(search.best))
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    with sqlite_store.read() as work:
        model_id = job_of(sqlite_store).model_id or ""
        drawn = work.artifacts.find(model_id, "learning_curves.png")
        assert drawn is not None
        assert sqlite_store.artifacts.read_bytes(drawn).startswith(b"\x89PNG")
        assert work.artifacts.find(model_id, "confusion_matrix.png") is None


def test_a_crash_while_drawing_never_loses_the_success(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pursuit, "work_pictures", children.die)
    ten_trials(sqlite_store, trials=10)
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    assert job_of(sqlite_store).state == "succeeded"
    with sqlite_store.read() as work:
        warnings = [event.message for event in work.events.after("job_1", 0, 100) if event.level == "warning"]
    assert warnings == ["The pictures of the search could not be drawn."]


def test_who_waits_for_a_job_is_told_when_it_is_closed_later(
    sqlite_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ten_trials(sqlite_store, trials=10)
    with sqlite_store.work() as work:
        work.jobs.get("job_1").spec = {}  # cannot be read
    nudges = Recorded()
    runtime = replace(make_runtime(sqlite_store, tmp_path), nudges=nudges)
    spec = search_spec(strategy="bayesian", parallel=1, trials=10)
    advance_jobs(runtime)
    assert "job_1 cannot be advanced" in caplog.text
    assert nudges.sent == []
    with sqlite_store.work() as work:
        work.jobs.get("job_1").spec = spec.model_dump()
    advance_jobs(runtime)
    assert job_of(sqlite_store).state == "succeeded"
    assert nudges.rung == ["news"]


def test_a_draining_worker_leaves_it_to_the_next(sqlite_store: Store, tmp_path: Path) -> None:
    ten_trials(sqlite_store, trials=12)
    runtime = make_runtime(sqlite_store, tmp_path)
    runtime.draining.set()
    pursue(runtime, "job_1")
    assert len(states(sqlite_store)) == 10
    with sqlite_store.read() as work:
        assert work.jobs.without_live_trials() == ["job_1"]


def test_of_several_that_look_one_finds_out(sqlite_store: Store, tmp_path: Path) -> None:
    ten_trials(sqlite_store, trials=12)
    runtime = make_runtime(sqlite_store, tmp_path)
    with sqlite_store.work() as work:
        assert work.jobs.begin_pursuit("job_1", 30.0)
        assert not work.jobs.begin_pursuit("job_1", 30.0)
    pursue(runtime, "job_1")
    assert len(states(sqlite_store)) == 10
    with sqlite_store.work() as work:
        work.jobs.go_on_pursuing("job_1", -1.0)  # its worker has died, and its time is over
    pursue(runtime, "job_1")
    assert len(states(sqlite_store)) == 11
    assert job_of(sqlite_store).pursued_until is None


def test_what_another_finds_out_keeps_nobody_from_other_steps(sqlite_store: Store, tmp_path: Path) -> None:
    add_search(sqlite_store, parallel=3)
    claim(sqlite_store)
    with sqlite_store.work() as work:
        assert work.jobs.begin_pursuit("job_1", 30.0)
    pursue(make_runtime(sqlite_store, tmp_path), "job_1")
    assert states(sqlite_store) == ["running", "queued", "queued"]


def test_the_workers_own_process_searches_without_torch() -> None:
    program = (
        "import sys, worker.tasks.registry, worker.runtime.judging, worker.tuning.pruning, worker.tuning.study\n"
        f"assert 'torch' not in sys.modules\nassert {sorted(SPACE)!r}"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
