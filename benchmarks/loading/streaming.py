"""Many event streams: how soon events arrive, what the API pays for them, what other requests pay."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.loading.asking import Asker, job_body, milliseconds
from benchmarks.loading.deployed import KEY, Deployed, settle
from benchmarks.loading.queueing import latencies
from tests.live import until

STREAMS_A_JOB = 4
EVENTS_PER_SECOND = 20
SECONDS = 15.0
CLIENTS_BESIDE, ASKED_BESIDE = 4, 100


@dataclass
class Listeners:
    """Streams in an event loop of their own; `heard` is, by stream, the number and time of each event."""

    running: Deployed
    heard: list[list[tuple[int, float]]] = field(default_factory=list)
    open: int = 0
    _thread: threading.Thread | None = None

    def start(self, job_ids: list[str]) -> None:
        """Returns once each has heard something."""
        self.heard = [[] for _ in job_ids]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen(job_ids)))
        self._thread.start()
        until(lambda: all(self.heard), 60.0)

    def join(self) -> None:
        """Until the last stream has ended."""
        assert self._thread is not None
        self._thread.join(60.0)
        if self._thread.is_alive():
            raise RuntimeError(f"{self.open} streams have not ended")

    async def _listen(self, job_ids: list[str]) -> None:
        await asyncio.gather(*(self._stream(number, job_id) for number, job_id in enumerate(job_ids)))

    async def _stream(self, number: int, job_id: str) -> None:
        reading, writing = await asyncio.open_connection("127.0.0.1", self.running.port)
        request = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        writing.write(f"{request}Accept: text/event-stream\r\n\r\n".encode())
        self.open += 1
        while (line := await reading.readline()) not in (b"", b"0\r\n"):
            if line.startswith(b"id: "):
                self.heard[number].append((int(line[4:]), time.perf_counter()))
        self.open -= 1
        writing.close()


@dataclass
class Trainer:
    """Plays the workers: an event now and then for one of the running jobs, committed, then the bell."""

    running: Deployed
    job_ids: list[str]
    committed: dict[tuple[str, int], float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def train(self) -> None:
        """Until `stop`."""
        chance = random.Random(11)
        counts = dict.fromkeys(self.job_ids, 2)  # queued, running
        while not self._stop.wait(1 / EVENTS_PER_SECOND):
            job_id = chance.choice(self.job_ids)
            with self.running.store.work(quick=True) as work:
                work.events.append(job_id, "epoch", "trial 0 epoch 1", data={"number": 0, "epoch": counts[job_id]})
            counts[job_id] += 1
            self.committed[job_id, counts[job_id]] = time.perf_counter()
            self.running.nudges.announce()

    def stop(self) -> None:
        """Ends `train` soon."""
        self._stop.set()


def under_streams(running: Deployed, *, streams: int) -> dict[str, Any]:
    """Latencies of events and of other requests with so many streams open."""
    asker = Asker(running)
    jobs = [asker.ask(("POST", "/v1/jobs", job_body(running)))["id"] for _ in range(-(-streams // STREAMS_A_JOB))]
    with running.store.work() as work:
        for job_id in jobs:
            work.jobs.move(job_id, "running")
    alone = latencies(running, CLIENTS_BESIDE, asked=ASKED_BESIDE, submitted=ASKED_BESIDE)
    settle()
    at_rest = _cost(running, lambda: time.sleep(SECONDS / 3))
    waiting = _with_waiters(running, [jobs[number % len(jobs)] for number in range(streams)])
    followed = [jobs[number % len(jobs)] for number in range(streams)]
    listeners, trainer = Listeners(running), Trainer(running, jobs)
    listeners.start(followed)
    settle()
    quiet = _cost(running, lambda: time.sleep(SECONDS))
    training = threading.Thread(target=trainer.train)
    training.start()
    busy = _cost(running, lambda: time.sleep(SECONDS))
    before_others = time.perf_counter()
    beside = latencies(running, CLIENTS_BESIDE, asked=ASKED_BESIDE, submitted=ASKED_BESIDE)
    trainer.stop()
    training.join()
    with running.store.work() as work:
        for job_id in jobs:
            work.jobs.move(job_id, "succeeded")
    running.nudges.announce()
    listeners.join()
    return {
        "part": "event_streams",
        "streams": streams,
        "jobs": len(jobs),
        "events": len(trainer.committed),
        "streams_with_all_events": _complete(running, followed, listeners),
        "arrival": milliseconds(_delays(trainer, followed, listeners, until=before_others)),
        "without_streams": {**at_rest, **alone},
        "with_as_many_who_wait": waiting,
        "with_streams_at_rest": quiet,
        "with_streams_and_events": busy,
        "beside_streams": beside,
    }


def _with_waiters(running: Deployed, job_ids: list[str]) -> dict[str, float]:
    """Costs while somebody waits for the end of each of the jobs (`Prefer: wait`), in vain."""

    async def wait_all() -> None:
        await asyncio.gather(*(_wait_for(running, job_id) for job_id in job_ids))

    waiting = threading.Thread(target=lambda: asyncio.run(wait_all()))
    waiting.start()
    settle()
    cost = _cost(running, lambda: time.sleep(SECONDS / 3))
    waiting.join()
    settle()
    return cost


async def _wait_for(running: Deployed, job_id: str) -> None:
    reading, writing = await asyncio.open_connection("127.0.0.1", running.port)
    request = f"GET /v1/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    writing.write(f"{request}Connection: close\r\nPrefer: wait={int(SECONDS * 0.6)}\r\n\r\n".encode())
    answer = await reading.read()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:200].decode())
    writing.close()


def _cost(running: Deployed, during: Callable[[], None]) -> dict[str, float]:
    """Of the API process, and of the database by all who use it."""
    cpu, transactions, started = running.cpu_seconds, running.transactions, time.perf_counter()
    during()
    seconds = time.perf_counter() - started
    return {
        "cpu_percent": round(100 * (running.cpu_seconds - cpu) / seconds, 1),
        "transactions_per_second": round((running.transactions - transactions) / seconds, 1),
        "rss_mib": round(running.rss_mib, 1),
    }


def _delays(trainer: Trainer, followed: list[str], listeners: Listeners, *, until: float) -> list[float]:
    """From each commit to each arrival, of events committed before `until`."""
    return [
        at - trainer.committed[job_id, seq]
        for job_id, heard in zip(followed, listeners.heard, strict=True)
        for seq, at in heard
        if trainer.committed.get((job_id, seq), until) < until
    ]


def _complete(running: Deployed, followed: list[str], listeners: Listeners) -> int:
    """How many streams have heard every event of their job once, in order."""
    totals = dict(running.sql("SELECT id, events_seq FROM jobs"))
    return sum(
        [seq for seq, _ in heard] == list(range(1, totals[job_id] + 1))
        for job_id, heard in zip(followed, listeners.heard, strict=True)
    )
