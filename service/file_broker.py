"""Celery's filesystem transport with whole messages only.

Kombu's own writes a message in place and reads it wherever it stands, so that a reader can meet an empty file,
which ends the worker (kombu 5.7.0). Here a message appears by a rename and is taken by a rename.
"""

import json
import os
import uuid
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import filesystem

TRANSPORT = "service.file_broker:Transport"


class Channel(filesystem.Channel):
    """One folder of messages, named `<time>_<unique>.<queue>.msg`."""

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        name = f"{time_ns():020d}_{uuid.uuid4().hex}"
        written = folder / f"{name}.part"
        written.write_text(json.dumps(message))
        written.rename(folder / f"{name}.{queue}.msg")

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
    """For `broker_transport`."""

    Channel = Channel
