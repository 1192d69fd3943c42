"""A lease renewed in the background, whatever the work is waiting for: a child that starts, a large download."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from service.errors import LeaseLost

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews until its block ends; `lost` says that the row is gone or somebody else's."""

    def __init__(self, renew: Callable[[], None], every_seconds: float) -> None:
        self._renew = renew
        self._every = every_seconds
        self._over = threading.Event()
        self.lost = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._keep, name="lease-keeper", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _keep(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._renew()
            except LeaseLost:
                self.lost.set()
                return
            except SQLAlchemyError as error:
                log.warning("lease not renewed: %s", type(error).__name__)
