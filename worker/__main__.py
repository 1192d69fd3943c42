"""`python -m worker train control`: serves the named queues."""

import os
import sys
from typing import cast

from service.settings import Settings
from service.specs.tasks import QUEUES, Queue
from worker.app import run_worker
from worker.tasks.registry import register_tasks

# OpenMP threads that spin for long at their barriers starve the processes beside them (a training step took 3 to 5
# times longer on two busy cores). Those that do not spin at all, as libgomp's do once a process has computed in more
# threads than there are cores, make a forward on two cores slower than on one (15 ms; 12 on one core, 9 with this).
SHORT_SPINNING = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}

if __name__ == "__main__":
    for name, value in SHORT_SPINNING.items():
        os.environ.setdefault(name, value)  # torch reads them when it loads
    asked = sys.argv[1:]
    if not asked or not set(asked) <= set(QUEUES):
        sys.exit(f"usage: python -m worker QUEUE…   (of: {', '.join(QUEUES)})")
    run_worker(Settings(), [cast("Queue", queue) for queue in asked], register_tasks)
