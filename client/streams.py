"""Following a job: one unbroken sequence of events over connections that may break."""

import time
from collections.abc import Iterator

import httpx

from client.errors import Unreachable
from client.sse import TERMINAL_STATES, Event, parse_events
from client.transport import Transport

HEARTBEAT_PATIENCE_SECONDS = 60.0
BREAKS_IN_A_ROW = 8


def follow(transport: Transport, job_path: str, *, after: int = 0) -> Iterator[Event]:
    """Every event after `after` once, in order, up to the terminal one.

    A lost or closed connection is taken up again behind the last event that came (`Last-Event-ID`).

    Raises:
        ProblemError: the service refuses.
        Unreachable: the connection broke several times in a row without an event in between.
    """
    seen, breaks = after, 0
    while True:
        reason = "the stream ended"
        try:
            for event in _connection(transport, job_path, seen):
                if event.seq <= seen:
                    continue
                seen, breaks = event.seq, 0
                yield event
                if event.is_terminal:
                    return
            if transport.json("GET", job_path)["state"] in TERMINAL_STATES and _nothing_follows(
                transport, job_path, seen
            ):
                return
        except httpx.TransportError as error:
            reason = str(error)
        breaks += 1
        if breaks == BREAKS_IN_A_ROW:
            raise Unreachable(f"the events of {job_path} cannot be followed: {reason}")
        pause(breaks)


def pause(breaks: int) -> None:
    """Before the next connection: longer each time."""
    time.sleep(min(0.1 * 2**breaks, 5.0))


def _connection(transport: Transport, job_path: str, seen: int) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen)}
    patience = HEARTBEAT_PATIENCE_SECONDS
    with transport.stream(f"{job_path}/events", headers=headers, read_timeout_seconds=patience) as response:
        yield from parse_events(response.iter_lines())


def _nothing_follows(transport: Transport, job_path: str, seen: int) -> bool:
    """Whether all events were seen: a stream that ends early may have left some behind."""
    return not transport.json("GET", f"{job_path}/events", params={"after": seen})["data"]
