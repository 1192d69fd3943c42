"""Nudges: "there is work in this queue". They carry no truth; the rows do, and the sweeper finds what a lost
nudge left behind.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from celery import Celery
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from service.bells import Bell
from service.file_broker import TRANSPORT, bell
from service.settings import Settings
from service.specs.tasks import QUEUE_OF, QUEUES

log = logging.getLogger(__name__)

POLLING_SECONDS = 0.02
SETTLED = "settled"
SOCKET_TIMEOUT_SECONDS = 2.0
LEFT_BEHIND_SECONDS = 3600.0


class Nudges(Protocol):
    """Whoever can say that there is work."""

    def nudge(self, task: str) -> None:
        """Wakes a worker; never raises for a broker that is away."""

    def announce(self) -> None:
        """Says that something has settled, to whoever waits for it; never raises."""

    def broker_answers(self) -> bool:
        """Whether the broker can be reached now."""


class CeleryNudges:
    """Nudges over Celery's broker."""

    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings)
        self._settled = settled_bell(settings)

    def nudge(self, task: str) -> None:
        """Sends one message without waiting for a broker that does not answer."""
        try:
            self._celery.send_task(task, queue=QUEUE_OF[task], retry=False, ignore_result=True)
        except (OperationalError, OSError) as error:
            log.warning("nudge %s not sent (%s): the sweeper will", task, error.__class__.__name__)

    def announce(self) -> None:
        """Rings, where there is a bell."""
        if self._settled is not None:
            self._settled.ring()

    def broker_answers(self) -> bool:
        """Connects once, within the socket timeout."""
        with self._celery.connection_for_write() as connection:
            try:
                connection.connect()
            except (*connection.connection_errors, OSError):
                return False
        return True


def after_commit(nudges: Nudges, task: str) -> Callable[[], None]:
    """A nudge to hand to `UnitOfWork.after_commit`."""
    return lambda: nudges.nudge(task)


def settled_bell(settings: Settings) -> Bell | None:
    """Rung by workers when a resource has settled, heard by the API; None where the broker is not made of files."""
    return bell(_messages(settings), SETTLED) if _is_filesystem(settings) else None


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
