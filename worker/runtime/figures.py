"""What one worker process measures of its own work; it goes to the database with the sign of life."""

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from worker.runtime.devices import listed_gpus
from worker.runtime.memory import MemoryLimits

TRIAL_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
ANSWER_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
QUERY = ["--query-gpu=index,memory.used,memory.total", "--format=csv,noheader,nounits"]
MEBIBYTE = 1024**2


@dataclass
class Figures:
    """Histograms of this process, and its GPUs' memory where `smi`, the path of `nvidia-smi`, can be asked."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    smi: str | None = field(default_factory=lambda: shutil.which("nvidia-smi") if listed_gpus() else None)

    def __post_init__(self) -> None:
        self._trials = Histogram(
            "tunelens_trial_seconds",
            "Time that a worker spent on a trial, by how that ended.",
            ("ending",),
            buckets=TRIAL_SECONDS,
            registry=self.registry,
        )
        self._answers = Histogram(
            "tunelens_answer_seconds",
            "Time that a worker spent on a prediction or an explanation.",
            ("kind",),
            buckets=ANSWER_SECONDS,
            registry=self.registry,
        )
        self._gpus = Gauge(
            "tunelens_gpu_memory_bytes", "Memory of a GPU, by all processes.", ("gpu", "of"), registry=self.registry
        )
        self._limits = Gauge(
            "tunelens_memory_limit_bytes",
            "Memory that a child may take; 0 is no limit.",
            ("of",),
            registry=self.registry,
        )
        self._left_out = Gauge(
            "tunelens_gpu_left_out",
            "A GPU that is listed and that torch cannot use.",
            ("gpu", "fault"),
            registry=self.registry,
        )
        self._free = Gauge("tunelens_free_bytes", "Room at a worker's folder.", ("folder",), registry=self.registry)

    def limits(self, memory: MemoryLimits) -> None:
        """What children may take, as it stays."""
        self._limits.labels("computing").set(memory.computing)
        self._limits.labels("reading").set(memory.reading)

    def left_out(self, gpu: str, fault: str) -> None:
        """Trials do without a GPU, as long as the process lives."""
        self._left_out.labels(gpu, fault).set(1)

    def room(self, folders: Mapping[str, Path]) -> None:
        """What is free at each, as it is now; one that nobody has made yet is left out."""
        for name, folder in folders.items():
            with suppress(OSError):
                free = shutil.disk_usage(folder).free
                self._free.labels(name).set(free)

    def trial(self, ending: str, seconds: float) -> None:
        """A trial's attempt is over."""
        self._trials.labels(ending).observe(seconds)

    def answer(self, kind: str, seconds: float) -> None:
        """A prediction or an explanation is over."""
        self._answers.labels(kind).observe(seconds)

    def text(self) -> str:
        """All of it in Prometheus' text format, with the GPUs as they are now."""
        self._gpus.clear()  # what was true before nvidia-smi stopped answering is not now
        for gpu, used, total in gpu_memory(self.smi) if self.smi else []:
            self._gpus.labels(gpu, "used").set(used * MEBIBYTE)
            self._gpus.labels(gpu, "total").set(total * MEBIBYTE)
        return generate_latest(self.registry).decode()


def gpu_memory(smi: str) -> list[tuple[str, int, int]]:
    """Index, used and total MiB of each GPU that tells them; nothing when the driver does not answer."""
    try:
        asked = subprocess.run(
            [smi, *QUERY], capture_output=True, text=True, errors="replace", timeout=10.0, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in asked.stdout.splitlines()]
    told = [row for row in rows if len(row) == 3 and row[1].isdecimal() and row[2].isdecimal()]
    return [(gpu, int(used), int(total)) for gpu, used, total in told]
