"""What is to be written when work is over, though the database or the storage may be away just then."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from service.errors import LeaseLost, Stopped
from service.store import AWAY, StorageAway
from worker.runtime.scribe import Wish

T = TypeVar("T")
log = logging.getLogger(__name__)
RETRY_SECONDS = 0.5
STORAGE_RETRY_SECONDS = 5.0
"""Each try writes a row for the sweeper."""


def insist(write: Callable[[], None], patience: Callable[[], float]) -> None:
    """Writes under a lease that somebody keeps, again until it is through; the work behind it is not done twice.

    A second try after a commit that was never acknowledged raises `LeaseLost`, which is true by then.

    Raises:
        LeaseLost: the row is gone or somebody else's, or the database was away for so many seconds.
    """
    away_since: float | None = None
    while True:
        tried_at = time.monotonic()
        try:
            write()
        except AWAY as error:
            away_since = away_since or tried_at
            away = time.monotonic() - away_since
            if away > patience():
                raise LeaseLost("The database was away for too long.") from error
            log.warning("database away for %.0f s: %s", away, type(error).__name__)
            time.sleep(RETRY_SECONDS)
        else:
            return


def await_storage(act: Callable[[], T], beat: Callable[[], Wish], patience: Callable[[], float]) -> T:
    """What `act` does with stored bytes, again until it is through, under a lease that somebody keeps.

    Raises:
        LeaseLost: the row is gone or somebody else's, as `beat` finds out.
        OSError: the storage refuses, is full, or was away for so many seconds.
        Stopped: it is away, and `beat` says that an end is wanted.
    """
    began, seconds = time.monotonic(), RETRY_SECONDS
    while True:
        try:
            return act()
        except StorageAway as error:
            away = time.monotonic() - began
            if _is_unwanted(beat):
                raise Stopped("An end is wanted.") from error
            if away > patience():
                raise
            log.warning("storage away for %.0f s: %s", away, error.strerror)
        time.sleep(seconds)
        seconds = min(2 * seconds, STORAGE_RETRY_SECONDS)


def _is_unwanted(beat: Callable[[], Wish]) -> bool:
    try:
        return beat() == "stop"
    except AWAY as error:
        log.warning("lease not renewed: %s", type(error).__name__)
        return False
