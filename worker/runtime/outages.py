"""What is to be written when work is over, though the database may be away just then."""

import logging
import time
from collections.abc import Callable

from service.errors import LeaseLost
from service.store import AWAY

log = logging.getLogger(__name__)
RETRY_SECONDS = 0.5


def insist(write: Callable[[], None], patience: Callable[[], float]) -> None:
    """Writes under a lease that somebody keeps, again until it is through; the work behind it is not done twice.

    A second try after a commit that was never acknowledged raises `LeaseLost`, which is true by then.

    Raises:
        LeaseLost: the row is gone or somebody else's, or the database was away for so many seconds.
    """
    began = time.monotonic()
    while True:
        try:
            write()
        except AWAY as error:
            away = time.monotonic() - began
            if away > patience():
                raise LeaseLost("The database was away for too long.") from error
            log.warning("database away for %.0f s: %s", away, type(error).__name__)
            time.sleep(RETRY_SECONDS)
        else:
            return
