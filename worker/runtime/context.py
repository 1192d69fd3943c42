"""What every task of a worker process shares."""

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from service.queue import CeleryNudges, Nudges
from service.settings import Settings
from service.specs.tasks import Queue
from service.store import Store
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.runtime.devices import Devices, visible_devices
from worker.runtime.figures import Figures
from worker.runtime.memory import MemoryLimits, available_memory, memory_limits
from worker.runtime.supervision import Watch

DRAIN_PATIENCE_SECONDS = 10.0


@dataclass
class Runtime:
    """One worker process.

    Attributes:
        draining: set when the process was asked to end; work in progress stops at its next check.
        devices: what trials may take.
        wishes: how often a client has asked for some job not to go on.
    """

    settings: Settings
    store: Store
    nudges: Nudges
    queues: tuple[Queue, ...]
    worker_id: str
    draining: threading.Event = field(default_factory=threading.Event)
    devices: Devices = field(default_factory=lambda: Devices([]))
    wishes: int = 0
    figures: Figures = field(default_factory=Figures)

    @cached_property
    def memory(self) -> MemoryLimits:
        """What its children may take."""
        slots = len(visible_devices(self.settings.train_slots, self.settings.worker_threads))
        return memory_limits(self.settings.memory_limit_bytes, slots, available_memory())

    def watch(self, wall_seconds: float, memory_bytes: int, scratch: Path | None = None) -> Watch:
        """Limits of a child that works in `scratch`; the others are those of the settings."""
        settings = self.settings
        return Watch(
            heartbeat_seconds=settings.heartbeat_seconds,
            grace_seconds=settings.cancel_grace_seconds,
            wall_seconds=wall_seconds,
            stall_seconds=settings.stall_seconds,
            memory_bytes=memory_bytes,
            scratch=scratch,
            scratch_bytes=settings.scratch_limit_bytes,
            patience=self.patience,
        )

    def patience(self) -> float:
        """For how many seconds the database may be away before work is given up; few for who is to end soon."""
        seconds = self.settings.database_patience_seconds
        return min(seconds, DRAIN_PATIENCE_SECONDS) if self.draining.is_set() else seconds

    @property
    def cache(self) -> DiskCache:
        """Rebuildable files on this machine, shared with its other workers."""
        return DiskCache(self.settings.cache, self.settings.cache_bytes)

    @property
    def weight_sources(self) -> WeightSources:
        """Where pretrained weights may come from."""
        hub = Path(os.environ.get("TORCH_HOME", "~/.cache/torch")).expanduser() / "hub" / "checkpoints"
        hugging_face = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub"
        return WeightSources(self.settings.weights_dir, hub, self.settings.weights_downloads, hugging_face)


def make_runtime(settings: Settings, queues: Sequence[Queue]) -> Runtime:
    """A runtime for this process; call it after any fork."""
    runtime = Runtime(
        settings=settings,
        store=Store(settings.database_url, settings.artifacts_url),
        nudges=CeleryNudges(settings),
        queues=tuple(queues),
        worker_id=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"[-120:],
        devices=Devices(visible_devices(settings.train_slots, settings.worker_threads)),
    )
    if {"train", "control"} & set(queues):  # the others have no children
        runtime.figures.limits(runtime.memory)
    return runtime
