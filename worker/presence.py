"""A worker says that it lives, on which queues, and with which weights."""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from service.specs.augmentation import MARIAN, WORDNET
from worker.backbones.sources import WeightSources, find_pair, weights_at_hand
from worker.data.texts.wordnet import wordnet_available
from worker.runtime.context import Runtime

log = logging.getLogger(__name__)


class Presence:
    """Writes the worker's row every few seconds until `stop`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._over = threading.Event()
        trains = "train" in runtime.queues
        self._weights = announced(runtime.weight_sources) if trains else {}

    def start(self) -> None:
        """Says so at once, then again and again in a thread, also when the database is away just then."""
        self._try_to_say()
        threading.Thread(target=self._keep_saying, name="presence", daemon=True).start()

    def stop(self) -> None:
        """Says goodbye."""
        self._over.set()
        try:
            with self._runtime.store.work(quick=True) as work:
                work.workers.gone(self._runtime.worker_id)
        except SQLAlchemyError as error:
            log.warning("goodbye not said: %s", type(error).__name__)

    def _keep_saying(self) -> None:
        while not self._over.wait(self._runtime.settings.heartbeat_seconds):
            self._try_to_say()

    def _try_to_say(self) -> None:
        try:
            self._say()
        except SQLAlchemyError as error:
            log.warning("presence not said: %s", type(error).__name__)

    def _say(self) -> None:
        settings, devices = self._runtime.settings, self._runtime.devices
        self._runtime.figures.room({"data": settings.data_dir, "scratch": settings.scratch})
        figures = self._runtime.figures.text()
        offers = "train" in self._runtime.queues and not devices.unproven
        with self._runtime.store.work(quick=True) as work:
            work.workers.seen(
                self._runtime.worker_id,
                list(self._runtime.queues),
                self._weights,
                figures=figures,
                devices=devices.most if offers else None,
            )


def announced(sources: WeightSources) -> dict[str, str]:
    """What this machine has: weights by backbone, and what changes of texts need."""
    others = {WORDNET: wordnet_available(), MARIAN: find_pair(sources.directory) is not None}
    return {**weights_at_hand(sources), **{name: "local" if found else "none" for name, found in others.items()}}
