"""HTTP as this client speaks it: one place for keys, retries, problem documents and where things may be sent."""

import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from client.errors import Json, ProblemError, Unreachable
from client.multipart import Multipart

TRIES = 4
RETRIED_STATUSES = frozenset({429, 503})
MAX_PAUSE_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 90.0


class Transport:
    """Sends requests, again where that is safe.

    GET and DELETE repeat by nature. Every POST carries an `Idempotency-Key`, so that a repeated one gets the
    first one's answer instead of doing the work twice.
    """

    def __init__(self, base_url: str, key: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"User-Agent": "tunelens-client"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        timeout = httpx.Timeout(10.0, read=READ_TIMEOUT_SECONDS, write=READ_TIMEOUT_SECONDS)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def url(self, reference: str) -> str:
        """`reference` on this service; the key is never sent elsewhere.

        Raises:
            ValueError: it points to another origin.
        """
        base = self._http.base_url
        url = base.join(reference.lstrip("/"))
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise ValueError(f"not on {base}: the key stays here")
        return str(url)

    def request(self, method: str, path: str, *, multipart: Multipart | None = None, **options: Any) -> httpx.Response:
        """One answered request; redirects are not followed.

        Raises:
            ProblemError: the answer is an error.
            Unreachable: there is no answer.
        """
        headers = dict(options.pop("headers", None) or {})
        if method == "POST":
            headers.setdefault("Idempotency-Key", secrets.token_hex(16))
        attempt = 0
        while True:
            attempt += 1
            with ExitStack() as stack:
                content = {} if multipart is None else stack.enter_context(multipart.opened(headers))
                response = self._try(method, path, attempt, {"headers": headers, **content, **options})
            if response is not None:
                return checked(response)

    def _try(self, method: str, path: str, attempt: int, options: Json) -> httpx.Response | None:
        """The answer, or None once it is time to try again."""
        try:
            response = self._http.request(method, self.url(path), **options)
        except httpx.TransportError as error:
            if attempt == TRIES:
                raise Unreachable(f"{self._http.base_url} does not answer: {error}") from error
            _pause(attempt)
            return None
        if response.status_code in RETRIED_STATUSES and attempt < TRIES:
            _pause(attempt, asked_for=response.headers.get("Retry-After"))
            return None
        return response

    def json(self, method: str, path: str, **options: Any) -> Json:
        """The JSON object that the request is answered with; see `request`."""
        document = self.request(method, path, **options).json()
        assert isinstance(document, dict)
        return document

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str], read_timeout_seconds: float = READ_TIMEOUT_SECONDS
    ) -> Iterator[httpx.Response]:
        """A GET whose body is read as it comes.

        Raises:
            ProblemError: the answer is an error.
            httpx.TransportError: the connection could not be made or broke.
        """
        timeout = httpx.Timeout(10.0, read=read_timeout_seconds)
        with self._http.stream("GET", self.url(path), headers=dict(headers), timeout=timeout) as response:
            if response.status_code >= 400:
                response.read()
            yield checked(response)


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is not an error.

    Raises:
        ProblemError: with the problem document, or with one made up for answers that carry none (a proxy's, say).
    """
    if response.status_code < 400:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": response.reason_phrase or "Error", "detail": "The answer carries no problem document."}
    raise ProblemError(problem, status=response.status_code)


def _pause(attempt: int, *, asked_for: str | None = None) -> None:
    """Waits before the next try: as long as the service asked for, else longer each time, never in step."""
    seconds = float(asked_for) if asked_for and asked_for.isdecimal() else 0.2 * 2**attempt * random.uniform(0.5, 1.0)
    time.sleep(min(seconds, MAX_PAUSE_SECONDS))
