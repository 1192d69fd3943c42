"""A few generated requests to every operation, and some chains of them; `make fuzz` sends thousands."""

import re
from pathlib import Path

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.served import served


@pytest.mark.timeout(240)
def test_generated_requests_find_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as target:
        chosen = ["--max-examples", "2", "--phases", "fuzzing,stateful", "--generation-deterministic"]
        done = run(target, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Tested: (\d+)", done.stdout)
    generated = re.search(r"(\d+) generated", done.stdout)
    assert tested is not None
    assert generated is not None
    assert int(tested[1]) > 40
    assert int(generated[1]) > 80
