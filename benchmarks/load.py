"""What a deployment on PostgreSQL and Redis bears on one machine: queued jobs, event streams, an upload, a history.

    PYTHONPATH=. python benchmarks/load.py [--jobs 1000] [--clients 8] [--streams 200] [--upload-bytes 1073741824]
                                           [--finished 100000] [--only queued_jobs event_streams upload finished_jobs]

Starts a PostgreSQL (on disk, with fsync), a Redis and one API process on free ports and without workers, so that what
is queued stays so; clients, server and database share this machine's cores. Each part has a deployment of its own and
prints one line of JSON:

- queued_jobs: reading, listing and submitting jobs with `--jobs` queued, beside the same with none, by `--clients`
  clients at once, each of which waits for its answer.
- event_streams: `--streams` streams, four to a running job, with 20 events a second in all: from an event's commit to
  its arrival, whether every stream heard every event once and in order, what they cost the API and the database with
  events and without, and what other requests take beside them.
- upload: an archive of `--upload-bytes` while another client reads: throughput, and memory of the API process. Takes
  3.2 times as much of disk, or is left out.
- finished_jobs: a sweep, a claim, pages, metrics and submitting under an idempotency key with `--finished` finished
  jobs, beside 1,000. Takes 1 GB of disk at 100,000.

About four minutes with the defaults on two cores.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.loading.deployed import Deployed, deployed
from benchmarks.loading.history import with_finished_jobs
from benchmarks.loading.queueing import under_queued_jobs
from benchmarks.loading.streaming import under_streams
from benchmarks.loading.uploading import of_an_upload
from tests.postgres import binaries
from tests.redis_server import is_installed

Part = Callable[[Deployed, Path], dict[str, Any]]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--jobs", type=int, default=1000)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--streams", type=int, default=200)
    arguments.add_argument("--upload-bytes", type=int, default=1024**3)
    arguments.add_argument("--finished", type=int, default=100_000)
    arguments.add_argument("--only", nargs="+", choices=["queued_jobs", "event_streams", "upload", "finished_jobs"])
    asked = arguments.parse_args()
    if binaries() is None or not is_installed():
        print("Needs PostgreSQL's binaries and redis-server (Debian: postgresql, redis-server); left out.")
        return
    parts: dict[str, Part] = {
        "queued_jobs": lambda running, _: under_queued_jobs(running, jobs=asked.jobs, clients=asked.clients),
        "event_streams": lambda running, _: under_streams(running, streams=asked.streams),
        "upload": lambda running, folder: of_an_upload(running, folder, size_bytes=asked.upload_bytes),
        "finished_jobs": lambda running, _: with_finished_jobs(running, finished=asked.finished),
    }
    limit = {"TUNELENS_MAX_UPLOAD_BYTES": str(2 * asked.upload_bytes)}
    for name in asked.only or parts:
        started = time.perf_counter()
        print(f"{name} …", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, deployed(Path(folder), **limit) as running:
            print(json.dumps(parts[name](running, Path(folder))), flush=True)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
