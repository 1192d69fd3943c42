"""What routes ask for: a unit of work, the caller, a page, a wait."""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol, TypeVar

import anyio
from fastapi import Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.auth import Caller as CallerValue
from service.queue import Nudges
from service.routing import known_caller
from service.settings import Settings
from service.store import Store, UnitOfWork
from service.store.pages import PageQuery
from service.waiting import States

T = TypeVar("T")
MAX_WAIT_SECONDS = 60.0
SETTLED = frozenset({"succeeded", "failed", "cancelled", "pruned", "ready", "rejected", "paused"})


class HasState(Protocol):
    """A resource that settles."""

    state: Any


S = TypeVar("S", bound=HasState)


def open_work(request: Request) -> Iterator[UnitOfWork]:
    """A unit of work that commits before the answer is sent; reads take no write lock."""
    store: Store = request.app.state.store
    reading = request.method in ("GET", "HEAD")
    with store.read() if reading else store.work() as work:
        yield work


def page_query(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[str | None, Query(max_length=20)] = None,
    name: Annotated[str | None, Query(max_length=120)] = None,
) -> PageQuery:
    """Limit, cursor and filters; `metadata[k]=v` filters on metadata."""
    found = (re.fullmatch(r"metadata\[([^\"\x00]{1,64})\]", key) for key in request.query_params)
    metadata = {match[1]: request.query_params[match[0]] for match in found if match}
    return PageQuery(limit=limit, cursor=cursor, state=state, name=name, metadata=metadata)


class Desk:
    """For routes that wait: runs rules in units of work off the event loop, and waits without holding one."""

    def __init__(self, request: Request, prefer: str | None) -> None:
        self._store: Store = request.app.state.store
        self._states: States = request.app.state.states
        self._asked = parse_wait(prefer)

    async def run(self, action: Callable[..., T], *args: Any) -> T:
        """`action(work, *args)` in a unit of work that commits."""
        return await run_in_threadpool(self._in_work, action, args)

    async def settled(self, read: Callable[..., S], *args: Any, default_seconds: float = 0.0) -> S:
        """`read(work, *args)` once its `state` is settled or the wait is over; the last of `args` is its id."""
        seconds = default_seconds if self._asked is None else self._asked
        until = anyio.current_time() + seconds
        resource = await run_in_threadpool(self._reading, read, args)
        while resource.state not in SETTLED and (left := until - anyio.current_time()) > 0:
            await self._states.changed(args[-1], resource.state, left)
            resource = await run_in_threadpool(self._reading, read, args)
        return resource

    def _in_work(self, action: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self._store.work() as work:
            return action(work, *args)

    def _reading(self, read: Callable[..., S], args: tuple[Any, ...]) -> S:
        with self._store.read() as work:
            return read(work, *args)


def open_desk(request: Request, prefer: Annotated[str | None, Header(max_length=200)] = None) -> Desk:
    """The desk of this request."""
    return Desk(request, prefer)


def parse_wait(prefer: str | None) -> float | None:
    """Seconds of `Prefer: wait=<seconds>` (RFC 7240), at most a minute; None when not asked."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    return min(float(match[1]), MAX_WAIT_SECONDS) if match else None


def get_nudges(request: Request) -> Nudges:
    """Where to send nudges."""
    nudges: Nudges = request.app.state.nudges
    return nudges


def get_settings(request: Request) -> Settings:
    """Settings of the process."""
    settings: Settings = request.app.state.settings
    return settings


def get_store(request: Request) -> Store:
    """The store, for what streams outside a unit of work."""
    store: Store = request.app.state.store
    return store


Work = Annotated[UnitOfWork, Depends(open_work, scope="function")]
Caller = Annotated[CallerValue, Depends(known_caller)]
Page = Annotated[PageQuery, Depends(page_query)]
Waiting = Annotated[Desk, Depends(open_desk)]
Nudging = Annotated[Nudges, Depends(get_nudges)]
Configured = Annotated[Settings, Depends(get_settings)]
Stored = Annotated[Store, Depends(get_store)]
