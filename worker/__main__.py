"""`python -m worker train control`: serves the named queues."""

import os
import sys
from typing import cast

from service.settings import Settings
from service.specs.tasks import QUEUES, Queue
from worker.app import run_worker
from worker.tasks.registry import register_tasks

if __name__ == "__main__":
    # OpenMP threads that spin while they wait starve the processes beside them; torch reads this when it loads.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    asked = sys.argv[1:]
    if not asked or not set(asked) <= set(QUEUES):
        sys.exit(f"usage: python -m worker QUEUE…   (of: {', '.join(QUEUES)})")
    run_worker(Settings(), [cast("Queue", queue) for queue in asked], register_tasks)
