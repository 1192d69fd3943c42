"""A worker process: Celery in a thread pool, the runtime it serves, and what starts and ends with it."""

import logging
import threading
from collections.abc import Callable, Sequence

from celery import Celery, signals

from service.logs import set_up_logging
from service.queue import heard_wishes, make_celery
from service.settings import Settings
from service.specs.tasks import QUEUE_OF, Queue
from service.sweeper import Sweeper
from worker.presence import Presence
from worker.runtime.cache_sweeper import CacheSweeper
from worker.runtime.children import LIGHT_PRELOAD, TORCH_PRELOAD, start_fork_server
from worker.runtime.context import Runtime, make_runtime
from worker.runtime.proving import prove_devices

log = logging.getLogger(__name__)
EXPLAIN_THREADS = 3
CONTROL_THREADS = 3
"""One for a dataset, one for an export, one for jobs that wait for a decision."""


def run_worker(settings: Settings, queues: Sequence[Queue], register: Callable[[Celery, Runtime], None]) -> None:
    """Serves the queues with the tasks that `register` binds, until SIGTERM; work is put back or finished first."""
    set_up_logging(settings.log_format)
    runtime = make_runtime(settings, queues)
    celery = make_celery(settings)
    register(celery, runtime)
    _follow_life(celery, runtime)
    arguments = [
        "--quiet",
        "worker",
        "--pool=threads",
        f"--concurrency={_threads(runtime)}",
        f"--queues={','.join(queues)}",
    ]
    arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
    celery.worker_main([*arguments, f"--hostname={'-'.join(queues)}-{runtime.worker_id.rpartition(':')[2]}@%h"])


def _threads(runtime: Runtime) -> int:
    """One per device that trains, and some for each other queue."""
    count = runtime.devices.count + 1 if "train" in runtime.queues else 0
    count += EXPLAIN_THREADS if "explain" in runtime.queues else 0
    return count + (CONTROL_THREADS if "control" in runtime.queues else 0)


def _hear_wishes(runtime: Runtime) -> None:
    """Counts until the process ends."""
    for asked in heard_wishes(runtime.settings):
        runtime.wishes += asked
        if runtime.draining.is_set():
            return


def _prove_devices(runtime: Runtime) -> None:
    """Before the first trial, which would wait for it otherwise."""
    with runtime.devices.claiming:
        prove_devices(runtime)


def _follow_life(celery: Celery, runtime: Runtime) -> None:
    presence = Presence(runtime)
    sweeper = Sweeper(runtime.store, runtime.nudges, runtime.settings)
    cache_sweeper = CacheSweeper(runtime.store, runtime.cache, runtime.settings.scratch, runtime.settings.sweep_seconds)

    def ready(**_: object) -> None:
        presence.start()
        cache_sweeper.start()
        if "control" in runtime.queues:
            sweeper.start()
        if "train" in runtime.queues:
            threading.Thread(target=_hear_wishes, args=(runtime,), name="wishes", daemon=True).start()
            threading.Thread(target=_prove_devices, args=(runtime,), name="proving", daemon=True).start()
        if set(runtime.queues) & {"train", "control"}:
            preload = TORCH_PRELOAD if "train" in runtime.queues else LIGHT_PRELOAD
            threading.Thread(target=start_fork_server, args=(preload,), daemon=True).start()
        for task, queue in QUEUE_OF.items():
            if queue in runtime.queues:
                runtime.nudges.nudge(task)

    def shutting_down(**_: object) -> None:
        log.info("draining: work in progress is put back or finished")
        runtime.draining.set()
        sweeper.stop()
        cache_sweeper.stop()

    def gone(**_: object) -> None:
        presence.stop()
        runtime.store.close()

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(shutting_down, weak=False)
    signals.worker_shutdown.connect(gone, weak=False)
    celery.set_default()
