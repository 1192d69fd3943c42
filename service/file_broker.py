"""Celery's filesystem transport with whole messages only.

Kombu's own writes a message in place and reads it wherever it stands, so that a reader can meet an empty file,
which ends the worker (kombu 5.7.0). Here a message appears by a rename and is taken by a rename.
"""

import json
import os
import uuid
from pathlib import Path
from queue import Empty
from time import monotonic, time_ns
from typing import Any

from kombu.transport import filesystem

from service.bells import Bell, PipeBell, wait_for_any

TRANSPORT = "service.file_broker:Transport"


class Channel(filesystem.Channel):
    """One folder of messages, named `<time>_<unique>.<queue>.msg`."""

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time_ns():020d}_{uuid.uuid4().hex}"
        written = folder / f"{name}.part"
        written.write_text(json.dumps(message))
        written.rename(folder / f"{name}.{queue}.msg")
        bell(folder, queue).ring()

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu's signature
        folder = Path(self.data_folder_in)
        wanted = f".{queue}.msg"
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(wanted))
        for name in names:
            taken = folder / f"{name}.{uuid.uuid4().hex}.taken"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:
                continue
            payload = json.loads(taken.read_text())
            taken.unlink()
            return payload
        raise Empty

    def _size(self, queue: str) -> int:
        return len(list(Path(self.data_folder_in).glob(f"*.{queue}.msg")))

    def _purge(self, queue: str) -> int:
        found = list(Path(self.data_folder_in).glob(f"*.{queue}.msg"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


class Transport(filesystem.Transport):
    """For `broker_transport`. Between looks into the folder it sleeps until the bell of one of its queues rings."""

    Channel = Channel

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        self._bells: dict[str, Bell] = {}

    def drain_events(  # type: ignore[override]
        self,
        connection: Any,  # noqa: ARG002 - kombu's signature
        timeout: float | None = None,
    ) -> None:
        """Delivers one message; raises `TimeoutError` when there is none in time."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            bells = self._listening()
            try:
                self.cycle.get(self._deliver, timeout=timeout)  # type: ignore[union-attr]
            except Empty:
                left = self.polling_interval if until is None else min(self.polling_interval, until - monotonic())
                if left <= 0:
                    raise TimeoutError from None
                wait_for_any(bells, left)
            else:
                return

    def _listening(self) -> list[Bell]:
        for channel in self.channels:
            for queue in channel._active_queues:
                if queue not in self._bells:
                    self._bells[queue] = bell(Path(channel.data_folder_in), queue)
        return list(self._bells.values())

    def close_connection(self, connection: Any) -> None:
        """Closes channels and bells."""
        super().close_connection(connection)  # type: ignore[no-untyped-call]
        while self._bells:
            self._bells.popitem()[1].close()


def bell(folder: Path, name: str) -> PipeBell:
    """The bell of a queue whose messages lie in `folder`; it hangs beside them."""
    return PipeBell(folder.parent / "bells", name)
