"""Folders that claims work in: how much they hold, and what becomes of those whose worker was killed."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

OLD_SECONDS = 24 * 3600.0


def remove_left_behind(root: Path) -> None:
    """Removes the folders of workers that were killed."""
    for folder in root.glob("*"):
        with suppress(FileNotFoundError):  # another worker was quicker
            if time.time() - folder.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def folder_bytes(root: Path) -> int:
    """What the files below `root` take of the disk (holes take nothing); those that go away meanwhile take nothing."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total
