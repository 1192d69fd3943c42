"""What happens to every request before routing: an id, the host check, the body's limit, safe headers."""

import logging
import secrets
from collections.abc import Callable

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import PayloadTooLarge, UploadTimeout
from service.logs import log_ids
from service.problems import INTERNAL, problem_response
from service.settings import Settings
from service.traffic import Traffic

log = logging.getLogger(__name__)
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
}
BAD_HOST = {"type": "/problems/bad-host", "title": "Bad host", "detail": "The Host header is not allowed."}
DOCS_PATHS = ("/docs", "/openapi.json")
MULTIPART_OVERHEAD_BYTES = 1024 * 1024


class RequestFrame:
    """Pure ASGI, so that uploads and event streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp, *, settings: Settings, clock: Callable[[], float], traffic: Traffic) -> None:
        self._app = app
        self._hosts = frozenset(host.strip().lower() for host in settings.allowed_hosts.split(","))
        self._settings = settings
        self._clock = clock
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Frames one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(10)}"
        scope.setdefault("state", {})["request_id"] = request_id
        with log_ids(request_id=request_id):
            await self._frame(scope, receive, send)

    async def _frame(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        started, status = self._clock(), 0

        async def framed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = scope["state"]["request_id"]
                answer.update(scope["state"].get("rate_headers", {}))
                for name, value in SAFE_HEADERS.items():
                    if not (name == "Content-Security-Policy" and scope["path"] in DOCS_PATHS):
                        answer.setdefault(name, value)
            await send(message)

        try:
            if self._host_is_allowed(headers.get("host", "")):
                await self._app(scope, self._limited(headers, receive), framed_send)
            else:
                await problem_response(Request(scope), BAD_HOST)(scope, receive, framed_send)
        except Exception:
            log.exception("a request failed")
            if status:
                raise  # the answer has begun: the connection is all that can be broken off
            await problem_response(Request(scope), INTERNAL)(scope, receive, framed_send)
        finally:
            self._traffic.note(scope, status, self._clock() - started)

    def _host_is_allowed(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):
            name, colon, port = name.rpartition(":") if ":" in name else (name, "", "")
            if colon and not port.isdigit():
                return False
        return name in self._hosts or ("*" in self._hosts and name.replace("-", "").replace(".", "").isalnum())

    def _limited(self, headers: Headers, receive: Receive) -> Receive:
        """The body piece by piece: no larger than allowed, and no slower."""
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        limit = (
            self._settings.max_upload_bytes + MULTIPART_OVERHEAD_BYTES if multipart else self._settings.max_json_bytes
        )
        announced = headers.get("content-length", "0")
        received, started, ended = 0, self._clock(), False

        async def limited() -> Message:
            nonlocal received, ended
            if ended:
                return await receive()
            if announced.isdigit() and int(announced[:19]) > limit:
                raise PayloadTooLarge(f"The body is larger than the {limit} bytes that are allowed here.")
            message = await self._next_piece(receive)
            received += len(message.get("body", b""))
            if received > limit:
                raise PayloadTooLarge(f"The body is larger than the {limit} bytes that are allowed here.")
            ended = not message.get("more_body", False)
            if not ended:
                self._check_rate(received, self._clock() - started)
            return message

        return limited

    async def _next_piece(self, receive: Receive) -> Message:
        try:
            with anyio.fail_after(self._settings.upload_idle_seconds):
                return await receive()
        except TimeoutError as error:
            idle = self._settings.upload_idle_seconds
            raise UploadTimeout(f"Nothing of the body came for {idle:g} seconds.") from error

    def _check_rate(self, received: int, seconds: float) -> None:
        least = self._settings.upload_min_bytes_per_second
        if seconds > self._settings.upload_idle_seconds and received < least * seconds:
            raise UploadTimeout(f"The body came at less than {least} bytes per second.")
