"""Submitting and reading with many queued jobs, beside the same with none."""

import random
import time
from typing import Any

from benchmarks.loading.asking import job_body, milliseconds, ratios, seconds_of
from benchmarks.loading.deployed import Deployed
from benchmarks.loading.history import add_finished_jobs

ASKED = 400
SUBMITTED = 200
SHOWN_BEFORE = 100
"""Finished jobs that are there from the beginning, so that pages of jobs are full both times."""


def under_queued_jobs(running: Deployed, *, jobs: int, clients: int) -> dict[str, Any]:
    """Latencies with none and with `jobs` queued; the jobs are left there."""
    add_finished_jobs(running, 0, SHOWN_BEFORE)
    none_queued = latencies(running, clients)
    running.sql("DELETE FROM jobs WHERE state = 'queued'")
    started = time.perf_counter()
    seconds_of(running, clients, jobs, lambda _: ("POST", "/v1/jobs", job_body(running)))
    filled = time.perf_counter() - started
    queued = latencies(running, clients)
    return {
        "part": "queued_jobs",
        "jobs": jobs,
        "clients": clients,
        "submitted_per_second": round(jobs / filled, 1),
        "none_queued": none_queued,
        "queued": queued,
        "ratios": ratios(queued, none_queued),
    }


def latencies(running: Deployed, clients: int, *, asked: int = ASKED, submitted: int = SUBMITTED) -> dict[str, Any]:
    """Of reading jobs, of pages of them, and of submitting, which comes last as it adds jobs."""
    some = [row[0] for row in running.sql("SELECT id FROM jobs ORDER BY id LIMIT 5000")]
    chance = random.Random(3)
    chosen = [chance.choice(some) for _ in range(asked)]
    kinds = {
        "read": (asked, lambda number: ("GET", f"/v1/jobs/{chosen[number]}", None)),
        "page": (asked // 2, lambda _: ("GET", "/v1/jobs?limit=50", None)),
        "page_of_succeeded": (asked // 2, lambda _: ("GET", "/v1/jobs?limit=50&state=succeeded", None)),
        "submit": (submitted, lambda _: ("POST", "/v1/jobs", job_body(running))),
    }
    return {
        name: milliseconds(seconds_of(running, clients, count, request_of))
        for name, (count, request_of) in kinds.items()
    }
