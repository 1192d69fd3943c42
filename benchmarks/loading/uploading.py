"""A large upload: how fast, and what the API process takes for it."""

import io
import math
import shutil
import statistics
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.loading.asking import milliseconds, seconds_of
from benchmarks.loading.deployed import KEY, MIB, Deployed

SIDE = 2048
SAMPLE_SECONDS = 0.02
TAKES = 3.2
"""Bytes of disk for each byte of the upload: the file, the API's copy while it comes, the rows and their log."""


def write_archive(path: Path, size_bytes: int) -> None:
    """A stored zip of photographs of noise, which nothing compresses, each with a tail of its own."""
    generator = np.random.default_rng(5)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(buffer, "PNG", compress_level=0)
    picture = buffer.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(max(2, math.ceil(size_bytes / len(picture)))):
            archive.writestr(f"{('cat', 'dog')[number % 2]}/{number:05d}.png", picture)


def of_an_upload(running: Deployed, folder: Path, *, size_bytes: int) -> dict[str, Any]:
    """One upload while other clients read; memory is sampled all the while."""
    if shutil.disk_usage(folder).free < TAKES * size_bytes:
        return {"part": "upload", "left_out": f"needs {TAKES * size_bytes / MIB:.0f} MiB of disk at {folder}"}
    archive = folder / "archive.zip"
    write_archive(archive, size_bytes)
    sent = archive.stat().st_size
    before, done = running.rss_mib, threading.Event()
    samples: list[float] = []
    beside: list[float] = []
    watching = threading.Thread(target=_watch, args=(running, done, samples))
    reading = threading.Thread(target=_read, args=(running, done, beside))
    watching.start()
    reading.start()
    cpu, started = running.cpu_seconds, time.perf_counter()
    try:
        _upload(running, archive)
    finally:
        done.set()
    seconds = time.perf_counter() - started
    watching.join()
    reading.join()
    archive.unlink()
    return {
        "part": "upload",
        "mib": round(sent / MIB, 1),
        "seconds": round(seconds, 2),
        "mib_per_second": round(sent / MIB / seconds, 1),
        "api_cpu_seconds": round(running.cpu_seconds - cpu, 2),
        "rss_mib_before": round(before, 1),
        "rss_mib_median": round(statistics.median(samples), 1),
        "rss_mib_growth_at_most": round(max(samples) - before, 1),
        "rss_mib_growth_after": round(running.rss_mib - before, 1),
        "reads_beside": milliseconds(beside),
    }


def _upload(running: Deployed, archive: Path) -> None:
    with archive.open("rb") as file:
        answer = httpx.post(
            f"{running.url}/v1/datasets",
            headers={"Authorization": f"Bearer {KEY}"},
            files={"file": (archive.name, file, "application/zip")},
            data={"modality": "image"},
            timeout=600.0,
        )
    if answer.status_code != 201:
        raise RuntimeError(answer.text)


def _watch(running: Deployed, done: threading.Event, samples: list[float]) -> None:
    while not done.wait(SAMPLE_SECONDS):
        samples.append(running.rss_mib)


def _read(running: Deployed, done: threading.Event, taken: list[float]) -> None:
    while not done.wait(SAMPLE_SECONDS):
        taken.extend(seconds_of(running, 1, 1, lambda _: ("GET", "/v1/jobs?limit=1", None)))
