"""A deployment with a history: many finished jobs, each with all that a finished job leaves behind."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event

from benchmarks.loading.asking import Asker, job_body, milliseconds, ratios, seconds_of
from benchmarks.loading.deployed import Deployed
from service.specs.base import new_id
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.store import Store
from service.sweeper import Sweeper
from tests.nudges import Recorded

FEW = 1000
SWEEPS = 7
ASKED = 100
METRICS = {"validation": {"loss": 0.4, "accuracy": 0.9}, "test": {"loss": 0.5, "accuracy": 0.88}}
FILL = """
INSERT INTO jobs (id, project_id, created_at, metadata, dataset_id, dataset_digest, state, spec, warnings, metrics,
                  best_trial, model_id, trials_total, events_seq, run_seconds, started_at, finished_at)
SELECT 'job_h' || n, %(project)s, %(now)s - 30 * (%(last)s - n), '{}', %(dataset)s, repeat('0', 64),
       (ARRAY['succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled'])[1 + n %% 5], %(spec)s, '[]', %(metrics)s,
       0, 'mdl_h' || n, 1, 6, 20, %(now)s - 30 * (%(last)s - n), %(now)s - 30 * (%(last)s - n) + 20
FROM generate_series(%(first)s, %(last)s - 1) n;
INSERT INTO trials (id, job_id, number, state, params, metrics, attempt, lease_token, queued_at, started_at,
                    finished_at, seconds, fraction)
SELECT 'trl_h' || n, 'job_h' || n, 0, (ARRAY['succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled'])[1 + n %% 5],
       '{}', %(metrics)s, 0, 1, %(now)s - 30 * (%(last)s - n), 0, 0, 20, 1
FROM generate_series(%(first)s, %(last)s - 1) n;
INSERT INTO epochs (trial_id, epoch, record)
SELECT 'trl_h' || n, epoch, '{"epoch": 1, "train_loss": 0.5, "validation_loss": 0.6, "seconds": 1.0}'
FROM generate_series(%(first)s, %(last)s - 1) n, generate_series(1, 3) epoch;
INSERT INTO events (job_id, seq, at, type, level, message, data)
SELECT 'job_h' || n, seq, %(now)s, 'epoch', 'info', 'trial 0 epoch 1', '{"number": 0, "epoch": 1}'
FROM generate_series(%(first)s, %(last)s - 1) n, generate_series(1, 6) seq;
INSERT INTO models (id, project_id, created_at, metadata, job_id, dataset_id, problem, backbone, classes, input,
                    metrics, digest, size_bytes)
SELECT 'mdl_h' || n, %(project)s, %(now)s - 30 * (%(last)s - n), '{}', 'job_h' || n, %(dataset)s,
       'image_classification', 'simple_nn', '["cat", "dog"]', '{}', %(metrics)s, repeat('0', 64), 100000
FROM generate_series(%(first)s, %(last)s - 1) n;
INSERT INTO artifacts (id, owner_id, name, media_type, size_bytes, sha256, location, created_at)
SELECT 'art_h' || n || '_' || part, 'mdl_h' || n, 'part' || part, 'application/json', 1000, repeat('0', 64),
       'sql:art_h' || n || '_' || part, %(now)s - 30 * (%(last)s - n)
FROM generate_series(%(first)s, %(last)s - 1) n, generate_series(1, 6) part;
INSERT INTO predictions (id, project_id, created_at, state, attempt, lease_token, queued_at, model_id, spec, inputs,
                         result)
SELECT 'prd_h' || n, %(project)s, %(now)s - 30 * (%(last)s - n), 'succeeded', 0, 1, %(now)s - 30 * (%(last)s - n),
       'mdl_h' || n, '{}', '[]', '{"items": []}'
FROM generate_series(%(first)s, %(last)s - 1) n;
INSERT INTO idempotency_keys (project_id, route, key, fingerprint, location, status, headers, body, created_at)
SELECT %(project)s, 'POST /v1/jobs', 'key' || n, repeat('0', 64), '/v1/jobs/job_h' || n, 201, '{}',
       decode(repeat('20', 1000), 'hex'), %(now)s - 3600
FROM generate_series(%(first)s, %(last)s - 1) n WHERE n %% 10 = 0;
"""


def add_finished_jobs(running: Deployed, first: int, last: int) -> None:
    """Jobs `first` up to `last` of the history, one every half minute, the last one now.

    Each has a trial with epochs, events, a model with six artifacts and a prediction, one in ten the answer to its
    idempotency key.
    """
    asked = JobSpec.model_validate(job_body(running))
    spec = resolve(asked, DatasetFacts(samples=1000, median_side=64)).model_dump_json()
    values = {
        "project": running.project_id,
        "dataset": running.dataset_id,
        "spec": spec,
        "metrics": json.dumps(METRICS),
        "now": time.time(),
        "first": first,
        "last": last,
    }

    with psycopg.connect(running.database_url, autocommit=True) as connection:
        for statement in FILL.split(";\n"):
            if statement.strip():
                connection.execute(statement, values)  # type: ignore[call-overload]
        connection.execute("VACUUM ANALYZE")


def with_finished_jobs(running: Deployed, *, finished: int) -> dict[str, Any]:
    """What is swept, listed, claimed and asked with few finished jobs and with `finished`."""
    few = min(FEW, finished)
    add_finished_jobs(running, 0, few)
    with_few = _look(running)
    add_finished_jobs(running, few, finished)
    with_many = _look(running)
    slowest = {"few": with_few.pop("slowest_of_sweep"), "many": with_many.pop("slowest_of_sweep")}
    return {
        "part": "finished_jobs",
        "few": few,
        "finished": finished,
        "with_few": with_few,
        "with_many": with_many,
        "ratios": ratios(with_many, with_few),
        "slowest_of_sweep": slowest,
    }


def _look(running: Deployed) -> dict[str, Any]:
    sweeper = Sweeper(running.store, Recorded(), running.settings)
    with statements(running.store) as taken:
        sweep = _median_ms(lambda: sweeper.sweep(time.monotonic()))
    slowest = max(taken, key=lambda one: one[0])
    pages = {
        "page_of_jobs": "/v1/jobs?limit=50",
        "page_of_failed": "/v1/jobs?limit=50&state=failed",
        "page_of_running": "/v1/jobs?limit=50&state=running",
        "page_of_models": "/v1/models?limit=50",
        "page_of_predictions": "/v1/predictions?limit=50",
        "page_of_a_name": "/v1/jobs?limit=50&name=none",
        "page_of_a_label": "/v1/jobs?limit=50&metadata[k]=none",
        "metrics": "/metrics",
    }
    asked = {name: _asked(running, path) for name, path in pages.items()}
    return {
        "sweep_ms": sweep,
        "statements_of_sweep": len(taken) // SWEEPS,
        "digests_ms": _median_ms(lambda: _digests(running)),
        "claim_ms": _claim(running),
        **asked,
        "submit_with_key": _submit_with_keys(running),
        "slowest_of_sweep": {"ms": round(1000 * slowest[0], 2), "statement": " ".join(slowest[1].split())[:160]},
    }


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[float, str]]]:
    """Every statement of the block with its seconds."""
    taken: list[tuple[float, str]] = []

    def before(connection: Any, *_: Any) -> None:
        connection.info["began"] = time.perf_counter()

    def after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        taken.append((time.perf_counter() - connection.info["began"], statement))

    event.listen(store.engine, "before_cursor_execute", before)
    event.listen(store.engine, "after_cursor_execute", after)
    try:
        yield taken
    finally:
        event.remove(store.engine, "before_cursor_execute", before)
        event.remove(store.engine, "after_cursor_execute", after)


def _median_ms(action: Callable[[], Any]) -> float:
    taken = []
    for _ in range(SWEEPS):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return round(1000 * statistics.median(taken), 2)


def _digests(running: Deployed) -> None:
    """As every worker's sweep of its cache."""
    with running.store.read() as work:
        work.datasets.digests([f"{number:064x}" for number in range(20)])


def _claim(running: Deployed) -> float:
    """One trial, of a few that are queued."""
    asker = Asker(running)
    for _ in range(SWEEPS):
        asker.ask(("POST", "/v1/jobs", job_body(running)))

    def claim() -> None:
        with running.store.work() as work:
            assert work.trials.devices_wanted(1) == 1
            assert work.trials.claim("bench:1", 30.0, most_devices=1) is not None

    taken = _median_ms(claim)
    running.sql("DELETE FROM jobs WHERE state IN ('queued', 'running')")
    return taken


def _asked(running: Deployed, path: str) -> dict[str, float]:
    return milliseconds(seconds_of(running, 1, ASKED, lambda _: ("GET", path, None)))


def _submit_with_keys(running: Deployed) -> dict[str, float]:
    asker, taken = Asker(running), []
    for _ in range(ASKED):
        started = time.perf_counter()
        asker.ask(("POST", "/v1/jobs", job_body(running)), **{"Idempotency-Key": new_id("idem")})
        taken.append(time.perf_counter() - started)
    running.sql("DELETE FROM jobs WHERE state = 'queued'")
    return milliseconds(taken)
