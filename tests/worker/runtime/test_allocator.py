"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from worker.runtime.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
bytearray(32 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(64 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    run = subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_is_paged_in_once() -> None:
    assert page_faults("kept") < page_faults("given back") / 5
