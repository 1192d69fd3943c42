"""Clients that ask one after the other, several at once, and what they waited."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.loading.deployed import KEY, Deployed

Request = tuple[str, str, dict[str, Any] | None]
"""Method, path, JSON body."""


class Asker:
    """One kept connection; the standard library's client, which costs the least beside the server it measures."""

    def __init__(self, running: Deployed) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120.0)

    def ask(self, request: Request, **headers: str) -> Any:
        """The parsed answer; anything but success is an error."""
        method, path, body = request
        sent = None if body is None else json.dumps(body)
        about = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
        self._connection.request(method, path, sent, about)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201, 202, 204):
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()}")
        return json.loads(content) if content.startswith(b"{") else content.decode()


def seconds_of(running: Deployed, clients: int, count: int, request_of: Callable[[int], Request]) -> list[float]:
    """What each of `count` requests took, `clients` at once."""
    taken: list[float] = []
    failures: list[Exception] = []

    def ask_some(first: int) -> None:
        asker = Asker(running)
        try:
            for number in range(first, count, clients):
                request = request_of(number)
                started = time.perf_counter()
                asker.ask(request)
                taken.append(time.perf_counter() - started)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            failures.append(error)

    threads = [threading.Thread(target=ask_some, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return taken


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles, each the value that so many do not exceed."""
    ordered = sorted(seconds)
    return {
        f"p{percent}_ms": round(1000 * ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 2)
        for percent in (50, 95, 99)
    }


def ratios(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Of the same figures, name by name."""
    return {
        name: ratios(value, before[name]) if isinstance(value, dict) else round(value / before[name], 2)
        for name, value in now.items()
        if isinstance(value, dict) or before[name]
    }


def job_body(running: Deployed) -> dict[str, Any]:
    """A job that any deployment takes: its network comes without weights."""
    return {"dataset_id": running.dataset_id, "backbone": {"name": "simple_nn"}}
