"""Folders that claims work in: where they are, how much they hold, and what becomes of those that are over.

A trial's folder is the trial's: whoever claims it next goes on from it. Validations and exports have one for each
claim: whoever lost the row may still be writing.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from service.store import Lease, Store, UnitOfWork

_CLAIMED = ("datasets", "exports")


def claim_folder(scratch: Path, noun: str, lease: Lease) -> Path:
    """Where one claim of a dataset or an export works."""
    return scratch / noun / _name(lease.row_id, lease.token)


def remove_old_scratch(store: Store, scratch: Path) -> None:
    """Removes the folders that nobody will go on from: of trials that are neither queued nor running, of claims that
    are over.

    Rows say so, whichever machines share the folder, and whatever was killed. Folders are listed first: one that is
    made meanwhile is not looked at, and whatever has a folder had its row, and its lease, before.
    """
    found = {noun: {path.name: path for path in (scratch / noun).glob("*")} for noun in ("trials", *_CLAIMED)}
    if not any(found.values()):
        return
    with store.read() as work:
        live = {noun: _live(work, noun, [*folders]) for noun, folders in found.items() if folders}
    for noun, folders in found.items():
        for name in folders.keys() - live.get(noun, set()):
            shutil.rmtree(folders[name], ignore_errors=True)


def folder_bytes(root: Path) -> int:
    """What the files below `root` take of the disk (holes take nothing); those that go away meanwhile take nothing."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


def _live(work: UnitOfWork, noun: str, names: list[str]) -> set[str]:
    if noun == "trials":
        return work.trials.live(names)
    claims = getattr(work, noun).leases.held([name.rpartition(".")[0] for name in names])
    return {_name(row_id, token) for row_id, token in claims}


def _name(row_id: str, token: int) -> str:
    return f"{row_id}.{token}"
