"""What is kept of a finished trial in its row, and what becomes of work whose files the storage did not give or
take.
"""

import json
import logging
from typing import Any

from service.errors import ArtifactCorrupt, Invalid, Stopped
from worker.runtime.child import DISK_FULL, DISK_FULL_ERRNOS
from worker.runtime.messages import Crashed, Ending, Failed, GaveUp
from worker.training.order import TrialOutcome

log = logging.getLogger(__name__)


def unprepared(error: ArtifactCorrupt | Invalid | Stopped | OSError, what: str) -> Ending:
    """How work ends whose files could not be brought here; `what` it is, for the log."""
    match error:
        case Stopped():
            return GaveUp()
        case Invalid():
            return Failed(error.to_problem())
        case ArtifactCorrupt():
            return Crashed(error.detail, at_work=False)
    log.error("%s cannot be prepared", what, exc_info=error)
    if error.errno in DISK_FULL_ERRNOS:
        return Failed(DISK_FULL)
    return Crashed("The files cannot be prepared.", at_work=False)


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
