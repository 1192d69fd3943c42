"""What is said of results that the storage did not take."""

from worker.runtime.child import DISK_FULL_ERRNOS


def why_not_stored(error: OSError) -> str:
    """The reason that a claim is charged with; it is tried again."""
    is_full = error.errno in DISK_FULL_ERRNOS
    return f"The results could not be stored{': the storage is full' if is_full else ''}."
