"""What is kept of a finished trial in its row, and what is said of results that the storage did not take."""

import json
from typing import Any

from worker.runtime.child import DISK_FULL_ERRNOS
from worker.training.order import TrialOutcome


def why_not_stored(error: OSError) -> str:
    """The reason that a claim is charged with; it is tried again."""
    is_full = error.errno in DISK_FULL_ERRNOS
    return f"The results could not be stored{': the storage is full' if is_full else ''}."


def row_values(outcome: TrialOutcome) -> dict[str, Any]:
    """Of its row; of a beaten trial, which has no model, the configuration is only what it was trained with."""
    described = [json.loads(file.path.read_text("utf-8")) for file in outcome.files if file.name == "config.json"]
    return {
        "metrics": outcome.metrics,
        "best_epoch": outcome.best_epoch,
        "stopped_by": outcome.stopped_by,
        "device": outcome.device,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "micro_batch_size": outcome.micro_batch_size,
        "config": described[0] if described else {"training": outcome.trained_with},
        "fraction": 1.0,
    }
