"""Children under a supervisor, for tests."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.runtime.child import Order
from worker.runtime.children import start_child
from worker.runtime.messages import Ending
from worker.runtime.scribe import Wish
from worker.runtime.supervision import Supervisor, Watch

WATCH = Watch(heartbeat_seconds=0.1, grace_seconds=5.0, wall_seconds=60.0, stall_seconds=60.0, patience=lambda: 60.0)


def supervise(
    work: Callable[..., object],
    payload: object = None,
    *,
    is_judged: bool = False,
    watch: Watch = WATCH,
    beat: Callable[[], Wish] = lambda: "go_on",
    **more: Any,
) -> Ending:
    callbacks: dict[str, Any] = {"record": lambda report: None, "wish": lambda: "go_on", **more}
    started = start_child(work, Order(payload, is_judged=is_judged))
    try:
        return Supervisor(started, watch, beat=beat, **callbacks).run()
    finally:
        started.await_end()


def pids_in(path: Path) -> list[int]:
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return [int(part) for part in text.split()]
        time.sleep(0.02)
    raise AssertionError("the child did not start")
