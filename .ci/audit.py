"""Asks pip-audit for known weaknesses of the pinned dependencies; for `make check`.

A finding fails unless `.ci/audit-exceptions.txt` excuses it, by lines of `<advisory id> <last day> <reason>`; after
that day it fails again. Where no advisory service answers, nothing is checked and one line says so. Arguments go to
pip-audit: `--vulnerability-service osv --osv-url URL` asks a mirror.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PINS = HERE.parent / "hashes.txt"
EXCEPTIONS = HERE / "audit-exceptions.txt"
PROBE = "pip-audit"
TIMEOUT_SECONDS = 300.0


def audit(requirements: str, service: Sequence[str] = ()) -> list[dict[str, Any]] | None:
    """What pip-audit knows of each dependency; None when no service answered."""
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--requirement"]
    command = [sys.executable, "-m", "pip_audit", *service, *options, "/dev/stdin"]
    try:
        answer = subprocess.run(
            command, input=requirements, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        found: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def excused(today: date) -> dict[str, str]:
    """Advisory ids that are excused today, with the reasons."""
    lines = [line.split(maxsplit=2) for line in EXCEPTIONS.read_text().splitlines() if line and line[0] != "#"]
    return {name: reason for name, last_day, reason in lines if date.fromisoformat(last_day) >= today}


def findings(dependencies: list[dict[str, Any]], excuses: dict[str, str]) -> list[str]:
    """One line for each weakness that is not excused."""
    return [
        f"{dependency['name']} {dependency['version']}: {weakness['id']}, fixed in {weakness['fix_versions'] or 'none'}"
        for dependency in dependencies
        for weakness in dependency.get("vulns", [])
        if excuses.keys().isdisjoint({weakness["id"], *weakness.get("aliases", [])})
    ]


def main(service: Sequence[str] = ()) -> int:
    """0 when there is nothing to mend, or nobody to ask."""
    pins = PINS.read_text()
    probe = audit("".join(line for line in _joined(pins) if line.startswith(f"{PROBE}==")), service)
    if not probe or "skip_reason" in probe[0]:
        sys.stdout.write("pip-audit: SKIPPED, no advisory service answers from here; nothing was checked\n")
        return 0
    dependencies = audit(pins, service) or []
    unknown = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    found = findings(dependencies, excused(datetime.now(UTC).date()))
    sys.stdout.write(f"pip-audit: {len(dependencies)} dependencies, {len(unknown)} unknown, {len(found)} to mend\n")
    sys.stdout.write("".join(f"  {line}\n" for line in found))
    return 1 if found or not dependencies else 0


def _joined(pins: str) -> list[str]:
    """Requirements as one line each."""
    return pins.replace("\\\n", "").splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
