"""Events of a job: a JSON page, or a stream that resumes where it broke."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.deps import Caller, Stored
from service.errors import Fault, Invalid, NotFound, TooManyStreams
from service.events.schemas import EventList, EventRead
from service.problems import error_docs
from service.rates import Slots
from service.routing import door_router
from service.store import Store
from service.store.jobs import TERMINAL
from service.waiting import Announcements

router = door_router("/jobs", "events")
PAGE = 200
HEARTBEAT_SECONDS = 15.0
FIRST_POLL_SECONDS = 0.05
LAST_POLL_SECONDS = 0.5


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
        return EventList(data=found[0])
    if last_event_id is not None:
        if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16):
            fault = Fault(("header", "Last-Event-ID"), "integer", "a number of this stream")
            raise Invalid("Last-Event-ID is not valid.", errors=[fault])
        after = int(last_event_id)
    await run_in_threadpool(_events, store, caller.project_id, job_id, after, 1)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    slots: Slots = request.app.state.streams
    slots.take(caller.key_id)
    stream = _stream(request, store, (caller, job_id), after)
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


async def _stream(request: Request, store: Store, job: tuple[Caller, str], after: int) -> AsyncIterator[str]:
    """Looks at the rows with back-off, and at once when somebody rings; holds no connection while it waits.

    Ends with the caller's key.
    """
    announcements: Announcements = request.app.state.announcements
    poll, quiet_since = FIRST_POLL_SECONDS, anyio.current_time()
    caller, job_id = job
    while not request.app.state.closing:
        try:
            events, ended = await run_in_threadpool(_events, store, caller.project_id, job_id, after, PAGE)
        except NotFound:
            return
        if not await run_in_threadpool(_key_lives, store, caller.key_id):
            return
        for event in events:
            yield f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"
            after = event.seq
        if ended and len(events) < PAGE:
            return
        now = anyio.current_time()
        if events:
            poll, quiet_since = FIRST_POLL_SECONDS, now
        elif now - quiet_since > HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            quiet_since = now
        await announcements.wait(poll)
        poll = min(poll * 1.5, LAST_POLL_SECONDS)


def _key_lives(store: Store, key_id: str) -> bool:
    with store.read() as work:
        return work.keys.lives(key_id)


def _events(store: Store, project_id: str, job_id: str, after: int, limit: int) -> tuple[list[EventRead], bool]:
    """Events after a number, and whether the job had ended when they were read."""
    with store.read() as work:
        job = work.jobs.find(project_id, job_id)
        if job is None:
            raise NotFound("No such job.")
        rows = work.events.after(job_id, after, limit)
        return [EventRead.from_row(row) for row in rows], job.state in TERMINAL
