"""How slowly a body may come (S17), on a clock of the test's own."""

from pathlib import Path

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from service.errors import PayloadTooLarge, ServiceError, UploadTimeout
from service.middleware import RequestFrame
from service.settings import Settings
from service.traffic import Traffic


def read_body(
    tmp_path: Path, pieces: list[bytes], *, seconds_each: float, headers: dict[str, str] | None = None
) -> int:
    """How many bytes of a body arrive that comes at this speed, by an endless sender if there are no more pieces."""
    now = 0.0
    got = 0
    refused: list[ServiceError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal got
        try:
            async for piece in Request(scope, receive).stream():
                got += len(piece)
        except ServiceError as error:
            refused.append(error)

    async def receive() -> Message:
        nonlocal now
        now += seconds_each
        if not pieces:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        """Nothing is answered."""

    settings = Settings(data_dir=tmp_path, upload_idle_seconds=10.0, upload_min_bytes_per_second=100)
    frame = RequestFrame(app, settings=settings, clock=lambda: now, traffic=Traffic())
    sent = {"host": "localhost"} | (headers or {})
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
    }
    anyio.run(frame, scope, receive, send)
    for error in refused:
        raise error
    return got


def test_s17_a_trickle_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(UploadTimeout, match="100 bytes per second"):
        read_body(tmp_path, [b"x" * 99] * 100, seconds_each=1.0)


def test_s17_a_slow_body_that_is_fast_enough_arrives(tmp_path: Path) -> None:
    assert read_body(tmp_path, [b"x" * 101] * 100, seconds_each=1.0) == 10_100


def test_s17_a_short_body_may_take_its_time(tmp_path: Path) -> None:
    assert read_body(tmp_path, [b"x", b"x", b"x"], seconds_each=4.0) == 3


def test_s15_an_announced_length_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    pieces = [b"x"] * 3
    with pytest.raises(PayloadTooLarge):
        read_body(tmp_path, pieces, seconds_each=0.0, headers={"content-length": "9" * 30})
    assert len(pieces) == 3
