"""SQLite under many writers: nobody is turned away, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.store import Store
from service.store.migrate import upgrade
from tests.architecture.tree import ROOT
from tests.rows import add_dataset, add_project

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]
PROCESSES, THREADS, ROUNDS = 2, 4, 25
WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from service.store import Store

url, row_id, threads, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = Store(url)

def write(number):
    for round in range(rounds):
        with store.work(quick=number % 2 == 0) as work:
            row = work.datasets.get(row_id)
            row.ignored_files = row.ignored_files + 1

with ThreadPoolExecutor(threads) as pool:
    list(pool.map(write, range(threads)))
"""


def test_eight_writers_and_a_long_reader_lose_no_update(tmp_path: Path) -> None:
    """Of two processes: each reads a number and writes the next one, while one reader looks at it all the time."""
    url = f"sqlite:///{tmp_path / 'tunelens.db'}"
    store = Store(url)
    upgrade(store.engine)
    row_id = add_dataset(store, add_project(store))
    command = [sys.executable, "-c", WRITER, url, row_id, str(THREADS), str(ROUNDS)]
    with store.read() as reading:
        before = reading.datasets.get(row_id).ignored_files
        writers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        told = [writer.communicate()[1] for writer in writers]
        reading.session.expire_all()
        assert reading.datasets.get(row_id).ignored_files == before, "what it reads is of one moment"
    assert [(writer.returncode, text) for writer, text in zip(writers, told, strict=True)] == [(0, "")] * PROCESSES
    with store.read() as work:
        assert work.datasets.get(row_id).ignored_files == before + PROCESSES * THREADS * ROUNDS
    store.close()
