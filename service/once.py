"""Idempotency keys: a repeated POST is answered from the first one.

What a request accepts is named in the same transaction (`UnitOfWork.accepted`), so that a repeat finds it even when
the first answer was never sent: the API was killed, or failed while it waited for a result.
"""

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from service.errors import Fault, IdempotencyInFlight, IdempotencyMismatch, Invalid, NotFound, Unavailable
from service.store import Store
from service.store.idempotency import in_flight
from service.store.tables import IdempotencyRow

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
KEPT_HEADERS = ("content-type", "location", "retry-after")
REPLAYED = {"Idempotency-Replayed": "true"}


async def answer_once(request: Request, project_id: str, key: str, inner: Handler) -> Response:
    """Answers a repeated POST from the first answer; forgets the key when nothing was accepted."""
    if not 1 <= len(key) <= 255:
        fault = Fault(("header", "Idempotency-Key"), "length", "1 to 255 characters")
        raise Invalid("The Idempotency-Key is not valid.", errors=[fault])
    store: Store = request.app.state.store
    place = (project_id, f"{request.method} {request.scope['path']}"[:200], key)
    fingerprint = await _fingerprint(request)

    def reserve() -> IdempotencyRow | None:
        with store.work() as work:
            return work.idempotency.reserve(*place, fingerprint)

    def conclude(response: Response | None) -> None:
        with store.work() as work:
            if response is None:
                work.idempotency.release(*place)
            else:
                kept = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
                status, body = response.status_code, _without_secrets(request, bytes(response.body))
                work.idempotency.answer(*place, status=status, headers=kept, body=body)

    first = await run_in_threadpool(reserve)
    if first is not None:
        return await _replay(request, first, fingerprint)
    token = in_flight.set(place)
    response = None
    try:
        response = await inner(request)
    finally:
        in_flight.reset(token)
        await run_in_threadpool(conclude, response)
    return response


async def _replay(request: Request, first: IdempotencyRow, fingerprint: str) -> Response:
    if first.fingerprint != fingerprint:
        raise IdempotencyMismatch("The idempotency key was first used with another request.")
    if first.status is not None:
        return Response(first.body, status_code=first.status, headers={**(first.headers or {}), **REPLAYED})
    if first.location is None:
        raise IdempotencyInFlight("The first request with this idempotency key has not been answered yet.")
    found, body = await _read(request, first.location)
    if found == 404:
        raise NotFound("What the first request with this idempotency key had accepted is gone.")
    if found != 200:
        raise Unavailable("What the first request with this idempotency key had accepted cannot be read now.")
    headers = {"Location": first.location, "Content-Type": "application/json", **REPLAYED}
    usual = 202 if json.loads(body).get("state") in ("queued", "running") else 200
    return Response(body, status_code=request.scope["route"].status_code or usual, headers=headers)


async def _read(request: Request, path: str) -> tuple[int, bytes]:
    """Status and body of GET `path` as this caller gets them."""
    kept = [(name, value) for name, value in request.scope["headers"] if name in (b"host", b"authorization")]
    same = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")
    scope = {name: request.scope[name] for name in same if name in request.scope}
    scope |= {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": kept}
    pieces: list[bytes] = []
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pieces.append(message.get("body", b""))
        statuses.append(message.get("status", 0))

    await request.app(scope, receive, send)
    return statuses[0], b"".join(pieces)


def _without_secrets(request: Request, body: bytes) -> bytes:
    """What may be kept of an answer: a replay leaves out what its route shows once."""
    hidden = (request.scope["route"].openapi_extra or {}).get("x-shown-once")
    if not hidden:
        return body
    return json.dumps({key: value for key, value in json.loads(body).items() if key not in hidden}).encode()


async def _fingerprint(request: Request) -> str:
    """What makes two requests the same: the query and the body, for forms their parts and not their boundary."""
    digest = hashlib.sha256(request.scope["query_string"])
    form: FormData | None = getattr(request, "_form", None)
    if form is None:
        digest.update(await request.body())
        return digest.hexdigest()
    for name, part in form.multi_items():
        digest.update(f"\0{name}\0".encode())
        if isinstance(part, UploadFile):
            digest.update((part.filename or "").encode())
            digest.update(await run_in_threadpool(_file_digest, part))
        else:
            digest.update(part.encode())
    return digest.hexdigest()


def _file_digest(part: UploadFile) -> bytes:
    part.file.seek(0)
    digest = hashlib.file_digest(part.file, "sha256").digest()  # type: ignore[arg-type]
    part.file.seek(0)
    return digest
