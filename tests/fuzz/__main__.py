"""`make fuzz`: schemathesis from our own OpenAPI document, all checks, stateful links on; then histories of two
projects (`test_projects`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.served import Served, served

PHASES = ("examples,coverage,fuzzing", "stateful")
"""Chains run by themselves: what single requests have taught schemathesis has it give up after a few of them."""
ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")


def run(target: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """One run of schemathesis with an admin key; its report is in `stdout`."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", "--checks", "all"]
    command += [f"{target.url}/openapi.json", "--header", f"Authorization: Bearer {target.project.admin_key}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FUZZ_IDS": json.dumps(target.project.ids)}
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def make_histories(count: int, seed: int) -> int:
    """The exit code of pytest."""
    command = [sys.executable, "-m", "pytest", "tests/fuzz/test_projects.py", "-q", f"--hypothesis-seed={seed}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FUZZ_HISTORIES": str(count)}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode


def main() -> int:
    """Runs and reports; fails when schemathesis has found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=230, help="cases of each operation in each phase, at most")
    parser.add_argument("--histories", type=int, default=100, help="of two projects, 15 steps each")
    parser.add_argument("--seed", type=int, default=0)
    asked, more = parser.parse_known_args()
    effort = ["--max-examples", str(asked.examples), "--seed", str(asked.seed)]
    failures = 0
    for phases in PHASES:
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as target:
            done = run(target, "--phases", phases, *effort, *more)
        sys.stdout.write(done.stdout + done.stderr)
        sys.stdout.flush()
        failures += done.returncode != 0
    failures += make_histories(asked.histories, asked.seed) != 0
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
