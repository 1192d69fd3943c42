"""Folders that claims work in, and what becomes of those whose worker was killed."""

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
