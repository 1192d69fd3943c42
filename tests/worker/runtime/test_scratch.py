import os
import time
from pathlib import Path

from worker.runtime.scratch import remove_left_behind


def test_what_killed_workers_left_goes_after_a_day(tmp_path: Path) -> None:
    for name, age_seconds in {"old.1": 25 * 3600, "new.1": 3600}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").touch()
        os.utime(tmp_path / name, (time.time() - age_seconds,) * 2)
    remove_left_behind(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new.1"]
