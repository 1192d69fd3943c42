"""Nudges: "there is work in this queue". They carry no truth; the rows do, and the sweeper finds what a lost
nudge left behind.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from celery import Celery
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from service.bells import Bell, wait_for_any
from service.courier import Courier
from service.file_broker import TRANSPORT, bell
from service.redis_bells import SOCKET_TIMEOUT_SECONDS, RedisBell
from service.settings import Settings
from service.specs.tasks import QUEUE_OF, QUEUES

log = logging.getLogger(__name__)

POLLING_SECONDS = 0.02
NEWS, WISHES = "news", "wishes"
RETRY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0}
"""The connection at hand may be one that a broker of before has left; a second one tells."""
LEFT_BEHIND_SECONDS = 3600.0
HEARING_SECONDS = 5.0


class Nudges(Protocol):
    """Whoever can say that there is work."""

    def nudge(self, task: str) -> None:
        """Wakes a worker; never raises for a broker that is away."""

    def announce(self) -> None:
        """Says to whoever waits for something that there is news; never raises."""

    def interrupt(self) -> None:
        """Says to the workers that a job is not to go on; never raises."""

    def broker_answers(self) -> bool:
        """Whether the broker can be reached now."""


class CeleryNudges:
    """Nudges over Celery's broker."""

    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings)
        self._news, self._wishes = news_bell(settings), _bell(settings, WISHES)
        # Files never keep anybody waiting.
        self._courier = None if _is_filesystem(settings) else Courier()

    def nudge(self, task: str) -> None:
        """Sends one message, without waiting for a broker that does not answer."""
        if self._courier is None:
            self._send(task)
        else:
            self._courier.send(task, lambda: self._send(task))

    def announce(self) -> None:
        """Rings, where there is a bell."""
        self._ring(NEWS, self._news)

    def interrupt(self) -> None:
        """Rings, where there is a bell; elsewhere workers see it at their next heartbeat."""
        self._ring(WISHES, self._wishes)

    def rest(self, timeout_seconds: float) -> bool:
        """Whether all that was to be said was said, or given up, within that time."""
        return self._courier is None or self._courier.rest(timeout_seconds)

    def broker_answers(self) -> bool:
        """Connects once, within the socket timeout."""
        with self._celery.connection_for_write() as connection:
            try:
                connection.connect()
            except (*connection.connection_errors, OSError):
                return False
        return True

    def _send(self, task: str) -> bool:
        try:
            self._celery.send_task(task, queue=QUEUE_OF[task], retry=True, retry_policy=RETRY, ignore_result=True)
        except (OperationalError, OSError) as error:
            log.warning("nudge %s not sent (%s): the sweeper will", task, error.__class__.__name__)
            return False
        return True

    def _ring(self, name: str, rung: Bell | None) -> None:
        if isinstance(rung, RedisBell) and self._courier is not None:
            self._courier.send(name, rung.rings, once=True)
        elif rung is not None:
            rung.ring()


def after_commit(nudges: Nudges, task: str) -> Callable[[], None]:
    """A nudge to hand to `UnitOfWork.after_commit`."""
    return lambda: nudges.nudge(task)


def news_bell(settings: Settings) -> Bell | None:
    """Rung when a resource has changed, heard by the API; None where the broker is neither files nor Redis."""
    return _bell(settings, NEWS)


def heard_wishes(settings: Settings) -> Iterator[bool]:
    """Every few seconds, and at once when it is so: whether a client has asked for some job not to go on."""
    wishes = _bell(settings, WISHES)
    while wishes is not None:
        yield wait_for_any([wishes], HEARING_SECONDS)


def make_celery(settings: Settings) -> Celery:
    """The Celery application that API and workers share: JSON only, early ack, no results, no prefetch."""
    celery = Celery("tunelens", broker=settings.broker_url)
    filesystem = _is_filesystem(settings)
    if filesystem:
        celery.conf.broker_transport = TRANSPORT
    celery.conf.update(
        broker_transport_options=_filesystem_options(settings) if filesystem else _redis_options(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        task_create_missing_queues=False,
        task_queues=[KombuQueue(name) for name in QUEUES],  # type: ignore[no-untyped-call]
        task_default_queue="control",
        worker_prefetch_multiplier=1,
        # Celery 5.7.0 exits when Redis drops while a message is held; the option exists for Redis only.
        worker_disable_prefetch=not filesystem,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return celery


def _bell(settings: Settings, name: str) -> Bell | None:
    if _is_filesystem(settings):
        return bell(_messages(settings), name)
    is_redis = settings.broker_url.startswith(("redis:", "rediss:"))
    return RedisBell(settings.broker_url, name) if is_redis else None


def _is_filesystem(settings: Settings) -> bool:
    return settings.broker_url.startswith("filesystem:")


def _messages(settings: Settings) -> Path:
    return settings.data_dir / "broker" / "messages"


def _filesystem_options(settings: Settings) -> dict[str, Any]:
    folder = _messages(settings).parent
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for left in (*folder.glob("messages/*.taken"), *folder.glob("messages/*.part")):
        if time.time() - left.stat().st_mtime > LEFT_BEHIND_SECONDS:
            left.unlink(missing_ok=True)
    return {
        "data_folder_in": str(_messages(settings)),
        "data_folder_out": str(_messages(settings)),
        "control_folder": str(folder / "control"),
        "store_processed": False,
        "polling_interval": POLLING_SECONDS,
    }


def _redis_options() -> dict[str, Any]:
    return {"socket_timeout": SOCKET_TIMEOUT_SECONDS, "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS}
