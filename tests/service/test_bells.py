"""Bells wake who listens, at once; who does not hear them is late, never wrong."""

import asyncio
import time
from pathlib import Path

import anyio
import pytest
from kombu import Connection
from kombu.simple import SimpleQueue

from service.bells import PipeBell, wait_for_any
from service.file_broker import TRANSPORT
from service.waiting import FIRST_POLL_BESIDE_A_BELL_SECONDS, FIRST_POLL_SECONDS, Announcements

LONG = 60.0


def test_a_ring_ends_the_wait_and_is_forgotten(tmp_path: Path) -> None:
    heard, other = PipeBell(tmp_path, "heard"), PipeBell(tmp_path, "other")
    heard.fileno()
    PipeBell(tmp_path, "heard").ring()
    assert wait_for_any([other, heard], LONG)
    assert not wait_for_any([other, heard], 0.0)
    heard.close()
    other.close()


def test_rings_wait_for_a_listener_that_is_busy(tmp_path: Path) -> None:
    bell = PipeBell(tmp_path, "busy")
    bell.fileno()
    for _ in range(3):
        bell.ring()
    assert wait_for_any([bell], LONG)
    assert not wait_for_any([bell], 0.0)
    bell.close()


def test_ringing_never_waits_and_never_fails(tmp_path: Path) -> None:
    PipeBell(tmp_path / "missing", "nobody").ring()
    bell = PipeBell(tmp_path, "full")
    bell.fileno()
    for _ in range(70_000):  # more than a pipe holds
        bell.ring()
    bell.close()
    bell.ring()


def test_a_message_wakes_a_reader_between_its_looks(tmp_path: Path) -> None:
    """With a polling interval of a minute, only the bell can deliver it in time.

    The queue has a name of its own, since kombu remembers bindings per process, not per folder.
    """
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
        "polling_interval": LONG,
    }

    async def read_while_writing() -> str:
        with Connection("filesystem://localhost", transport=TRANSPORT, transport_options=options) as connection:
            queue: SimpleQueue = connection.SimpleQueue("bell-test")
            reading = asyncio.create_task(asyncio.to_thread(queue.get, timeout=LONG))
            await asyncio.sleep(0.3)
            with Connection("filesystem://localhost", transport=TRANSPORT, transport_options=options) as second:
                second.SimpleQueue("bell-test").put("now")
            message = await reading
            message.ack()
            queue.close()
        return str(message.payload)

    started = time.monotonic()
    assert asyncio.run(read_while_writing()) == "now"
    assert time.monotonic() - started < LONG / 2


def test_everyone_who_waits_hears_of_what_settles(tmp_path: Path) -> None:
    announcements = Announcements(PipeBell(tmp_path, "settled"))

    async def three_wait() -> None:
        with announcements.listening():
            assert announcements.first_poll_seconds == FIRST_POLL_BESIDE_A_BELL_SECONDS
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(announcements.wait, LONG)
                await anyio.sleep(0.05)
                PipeBell(tmp_path, "settled").ring()

    started = time.monotonic()
    asyncio.run(three_wait())
    assert time.monotonic() - started < LONG / 2


@pytest.mark.parametrize("listening", [False, True])
def test_without_a_bell_one_looks_more_often(listening: bool) -> None:
    announcements = Announcements(None)

    async def wait() -> None:
        if listening:
            with announcements.listening():
                await announcements.wait(0.01)
        await announcements.wait(0.01)

    asyncio.run(wait())
    assert announcements.first_poll_seconds == FIRST_POLL_SECONDS
