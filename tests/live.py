"""A real embedded service for tests: its processes, their children, and pictures to learn from."""

import io
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from client import Tunelens
from client.embedded import Embedded

FAST = {
    "TUNELENS_LEASE_SECONDS": "3",
    "TUNELENS_HEARTBEAT_SECONDS": "0.5",
    "TUNELENS_SWEEP_SECONDS": "1",
    "TUNELENS_EXPIRY_SIGHTINGS_APART_SECONDS": "1.5",
}
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (50, 70, 230)}


@dataclass
class Live:
    """A running service and a client of it."""

    embedded: Embedded
    client: Tunelens

    @property
    def http(self) -> httpx.Client:
        """For what the client hides."""
        headers = {"Authorization": f"Bearer {self.embedded.admin_key}"}
        return httpx.Client(base_url=self.embedded.url, headers=headers, timeout=90.0)

    def pid(self, title: str) -> int:
        """Of one of the service's processes."""
        pid = next(child.pid for child in self.embedded.supervisor.children if child.title == title)
        assert pid is not None
        return pid

    def trial_pids(self) -> list[int]:
        """Children in which trials run: the fork server's."""
        return [pid for server in children_of(self.pid("train worker")) for pid in children_of(server)]

    def learn(self, **fields: Any) -> dict[str, Any]:
        """Uploads squares and submits a job on them."""
        return learn(self.client, **fields)


@contextmanager
def live_service(data_dir: Path, *, tended: bool = True, **environment: str) -> Iterator[Live]:
    """Runs `tunelens up` in this process, with leases that are short enough to watch.

    Untended, what dies stays dead.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**FAST, **environment}.items():
            patch.setenv(name, value)
        embedded = Embedded(data_dir, say=lambda _: None, port=0)
        tending = threading.Thread(target=embedded.tend)
        try:
            embedded.start()
            if tended:
                tending.start()
            with Tunelens(embedded.url, embedded.admin_key) as client:
                yield Live(embedded, client)
        finally:
            if tending.is_alive():
                embedded.supervisor.ask_to_stop()
                tending.join()
            embedded.stop()


def learn(client: Tunelens, *, each: int = 40, **fields: Any) -> dict[str, Any]:
    """Uploads squares and submits a job on them."""
    dataset = client.upload_dataset(squares(each), wait_seconds=60)
    assert dataset["state"] == "ready", dataset
    return client.submit_job(job_spec(dataset["id"], **fields))


def job_spec(dataset_id: str, backbone: str = "small_cnn", **training: Any) -> dict[str, Any]:
    """A job that takes a few seconds on CPU."""
    fields = {"epochs": 3, "batch_size": 16, "learning_rate": 0.003, "image_size": 32, **training}
    return {
        "dataset_id": dataset_id,
        "backbone": {"name": backbone},
        "augmentation": {"policy": "light"},
        "training": fields,
        "early_stopping": None,
    }


def squares(each: int = 40, size: int = 32) -> bytes:
    """Squares of three colours at random places on noise; the colour is the class."""
    generator = np.random.default_rng(7)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, colour in COLOURS.items():
            for number in range(each):
                archive.writestr(f"{name}/{number:03d}.png", square_png(generator, colour, size))
    return buffer.getvalue()


def square_png(generator: np.random.Generator, colour: tuple[int, int, int], size: int = 32) -> bytes:
    pixels = generator.integers(90, 160, (size, size, 3), dtype=np.uint8)
    top, left = generator.integers(0, size * 3 // 4, 2)
    pixels[top : top + size // 4, left : left + size // 4] = colour
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def children_of(pid: int) -> list[int]:
    """Direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def gone(pid: int) -> bool:
    """Whether a process ends within a few seconds."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first truthy answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return answer


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """A process that stands still until the block ends."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def epochs_done(live: Live, job_id: str) -> int:
    return int(live.client.get(job_id)["progress"]["epoch"])
