"""A Tunelens service in a few lines, for the client's tests: answers are queued, requests are kept."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from client import Tunelens

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
BASE_URL = "http://tunelens.test"


@dataclass
class FakeService:
    """Gives the answers in order; a request without one is a failure of the test."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read())
        assert self.answers, f"unexpected: {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(self) -> Tunelens:
        return Tunelens(BASE_URL, "tl_secret", transport=httpx.MockTransport(self))


class Broken(httpx.SyncByteStream):
    """A body that breaks off after some chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def answer(document: Any, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=document, headers=headers)


def problem(slug: str, status: int, **more: Any) -> httpx.Response:
    document = {"type": f"/problems/{slug}", "title": slug.capitalize(), "status": status, "detail": "Why.", **more}
    return httpx.Response(status, json=document, headers={"Content-Type": "application/problem+json"})


def event(seq: int, type_: str = "log", **data: Any) -> str:
    document = {"seq": seq, "at": "2026-01-01T00:00:00Z", "type": type_, "level": "info", "message": "", "data": data}
    return f"id: {seq}\nevent: {type_}\ndata: {json.dumps(document)}\n\n"


def stream(*events: str) -> httpx.Response:
    return httpx.Response(200, text="".join(events), headers={"Content-Type": "text/event-stream"})
