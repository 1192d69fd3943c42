"""Events of a job: a JSON page, or a stream that resumes where it broke."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple

import anyio
from fastapi import Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.deps import Caller, Stored
from service.errors import Fault, Invalid, NotFound, TooManyStreams
from service.events.schemas import EventList, EventRead
from service.events.watch import PAGE, Piece, Watch, pieces
from service.problems import error_docs
from service.rates import Slots
from service.routing import door_router
from service.store import Store
from service.store.jobs import TERMINAL

router = door_router("/jobs", "events")
HEARTBEAT_SECONDS = 15.0


@router.get(
    "/{job_id}/events",
    response_model=EventList,
    responses={200: {"content": {"text/event-stream": {}}}, **error_docs(NotFound, Invalid, TooManyStreams)},
)
async def read_events(
    job_id: str,
    request: Request,
    caller: Caller,
    store: Stored,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
    accept: Annotated[str, Header(max_length=500)] = "application/json",
) -> EventList | Response:
    """Events after a number; as `text/event-stream` until the job has ended."""
    if "text/event-stream" not in accept:
        found = await run_in_threadpool(_events, store, caller.project_id, job_id, after, limit)
        return EventList(data=found)
    if last_event_id is not None:
        if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16):
            fault = Fault(("header", "Last-Event-ID"), "integer", "a number of this stream")
            raise Invalid("Last-Event-ID is not valid.", errors=[fault])
        after = int(last_event_id)
    await run_in_threadpool(_events, store, caller.project_id, job_id, after, 1)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    slots: Slots = request.app.state.streams
    slots.take(caller.key_id)
    stream = _stream(request.app.state.watch, store, (caller, job_id), after)
    return CountedStream(stream, media_type="text/event-stream", headers=headers, slot=(slots, caller.key_id))


class CountedStream(StreamingResponse):
    """Gives its slot back however it ends."""

    def __init__(self, content: AsyncIterator[str], *, slot: tuple[Slots, str], **options: Any) -> None:
        super().__init__(content, **options)
        self._slots, self._key_id = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slots.give_back(self._key_id)


async def _stream(watch: Watch, store: Store, job: tuple[Caller, str], after: int) -> AsyncIterator[str]:
    """First what the rows have, then what the watch tells; holds no connection while it waits.

    Ends with the caller's key.
    """
    caller, job_id = job
    while (missed := await run_in_threadpool(_missed, store, job, after)) is not None:
        for piece in missed.pieces:
            yield piece.text
            after = piece.seq
        if len(missed.pieces) == PAGE:
            continue
        if missed.ended:
            return
        with watch.follow(job_id, caller.key_id, min(after, missed.seq)) as followed:
            while watch.admits(caller.key_id):
                change = followed.change
                news = followed.after(after)
                if news is None:
                    break
                for piece in news:
                    yield piece.text
                    after = piece.seq
                if followed.is_over and after >= followed.seq:
                    return
                with anyio.move_on_after(HEARTBEAT_SECONDS) as waiting:
                    await change.wait()
                if waiting.cancelled_caught:
                    yield ": still here\n\n"


class Missed(NamedTuple):
    """What a job's rows have; `seq` is its last event's."""

    pieces: list[Piece]
    seq: int
    ended: bool


def _missed(store: Store, job: tuple[Caller, str], after: int) -> Missed | None:
    """Events after a number; None when the job is gone or the key opens nothing any more."""
    caller, job_id = job
    with store.read() as work:
        row = work.jobs.find(caller.project_id, job_id)
        if row is None or not work.keys.living([caller.key_id]):
            return None
        return Missed(pieces(work, job_id, after), row.events_seq, row.state in TERMINAL)


def _events(store: Store, project_id: str, job_id: str, after: int, limit: int) -> list[EventRead]:
    """Events after a number; raises `NotFound`."""
    with store.read() as work:
        if work.jobs.find(project_id, job_id) is None:
            raise NotFound("No such job.")
        return [EventRead.from_row(row) for row in work.events.after(job_id, after, limit)]
