"""Nudges and bells over Redis: they reach whoever listens, come back with the broker, and hold nothing up."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker

from service.bells import wait_for_any
from service.queue import NEWS, CeleryNudges, heard_wishes, make_celery, news_bell
from service.redis_bells import RedisBell
from service.settings import Settings
from service.specs.tasks import RUN_TRIALS
from service.waiting import Announcements
from tests.live import until
from tests.redis_server import RedisServer

LONG = 30.0


@pytest.fixture
def settings(redis_server: RedisServer, tmp_path: Path) -> Settings:
    with redis_server.client() as client:
        client.flushall()
    return Settings(data_dir=tmp_path, broker_url=redis_server.url)


@pytest.fixture
def listener(redis_server: RedisServer) -> Iterator[RedisBell]:
    bell = RedisBell(redis_server.url, NEWS)
    assert wait_for_any([bell], LONG), "to subscribe counts as a ring"
    yield bell
    bell.close()


def test_a_ring_is_heard_by_everyone(settings: Settings, listener: RedisBell) -> None:
    other = RedisBell(settings.broker_url, NEWS)
    assert wait_for_any([other], LONG)
    nudges = CeleryNudges(settings)
    nudges.announce()
    assert wait_for_any([other], LONG)
    assert wait_for_any([listener], LONG)
    nudges.interrupt()
    assert nudges.rest(LONG)
    assert not wait_for_any([listener], 0.0), "a wish is no news"
    other.close()


def test_a_workers_ear_for_wishes(settings: Settings) -> None:
    heard = heard_wishes(settings)
    assert next(heard), "to subscribe counts as a wish: one may have been missed"
    CeleryNudges(settings).interrupt()
    assert next(heard)


def test_a_waiting_request_is_woken(settings: Settings) -> None:
    announcements = Announcements(news_bell(settings))

    async def wait() -> None:
        with announcements.listening():
            await announcements.wait(LONG)  # the subscription itself
            waiting = asyncio.create_task(announcements.wait(LONG))
            await asyncio.sleep(0)
            CeleryNudges(settings).announce()
            await waiting

    asyncio.run(asyncio.wait_for(wait(), LONG / 2))


def test_bells_and_nudges_come_back_with_the_broker(tmp_path: Path) -> None:
    server = RedisServer()
    server.start()
    nudges = CeleryNudges(Settings(data_dir=tmp_path, broker_url=server.url))
    bell = RedisBell(server.url, NEWS)
    assert wait_for_any([bell], LONG)
    server.kill()
    nudges.nudge(RUN_TRIALS)
    assert nudges.rest(LONG)
    assert not nudges.broker_answers()
    server.start()
    assert wait_for_any([bell], LONG), "it has subscribed again"
    nudges.announce()
    assert wait_for_any([bell], LONG)
    nudges.nudge(RUN_TRIALS)
    assert nudges.rest(LONG)
    with server.client() as client:
        assert client.llen("train") == 1
    bell.close()
    server.stop()


def test_a_broker_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    """The server takes connections and never answers: whoever nudges goes on all the same."""
    server = RedisServer()
    server.start()
    nudges = CeleryNudges(Settings(data_dir=tmp_path, broker_url=server.url))
    server.freeze()
    finished = threading.Event()

    def submit() -> None:
        for _ in range(200):
            nudges.nudge(RUN_TRIALS)
            nudges.announce()
        finished.set()

    threading.Thread(target=submit, daemon=True).start()
    try:
        assert finished.wait(LONG), "200 nudges at two seconds each"
        server.thaw()
        assert nudges.rest(LONG)
    finally:
        server.stop()


@pytest.fixture
def celery_leaves_logging_alone() -> Iterator[None]:
    def nothing(**_: object) -> None:
        """To have a receiver is what tells Celery."""

    signals.setup_logging.connect(nothing)
    yield
    signals.setup_logging.disconnect(nothing)


def worker_with(settings: Settings, task: str, work: object) -> Celery:
    celery = make_celery(settings)
    celery.conf.broker_transport_options = {**celery.conf.broker_transport_options, "visibility_timeout": 2}
    celery.task(name=task)(work)
    return celery


@pytest.mark.usefixtures("celery_leaves_logging_alone")
def test_a_message_whose_time_is_up_is_not_delivered_again(settings: Settings) -> None:
    """With a visibility timeout of 2 s: a task that is at work holds no message that could be given to another."""
    begun, gate, runs = threading.Event(), threading.Event(), []

    def work() -> None:
        runs.append("run")
        begun.set()
        gate.wait(LONG)

    celery = worker_with(settings, RUN_TRIALS, work)
    with start_worker(celery, pool="threads", concurrency=2, perform_ping_check=False):
        CeleryNudges(settings).nudge(RUN_TRIALS)
        assert begun.wait(LONG)
        with celery.connection_for_read() as connection, connection.channel() as channel:
            client = channel.client
            until(lambda: client.hlen("unacked") == 0, LONG)
            assert client.zcard("unacked_index") == 0
            gate.wait(2.1)
            assert channel.visibility_timeout == 2
            channel.qos.restore_visible(start=0, num=10)
            assert client.llen("train") == 0
        assert runs == ["run"]
        gate.set()
