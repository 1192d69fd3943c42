"""`python -m service.doctor`: says what is wrong with the deployment that the environment describes.

One line a finding; with `--json` one object a line, for `tunelens doctor`. Exits with 1 when something is wrong.
"""

import json
import logging
import sys
from dataclasses import asdict

from pydantic import ValidationError

from service.doctor.checks import examine
from service.doctor.findings import Finding, Patient
from service.settings import Settings


def main(arguments: list[str]) -> int:
    """The exit code."""
    logging.disable(logging.CRITICAL)
    findings = _findings()
    for finding in findings:
        text = json.dumps(asdict(finding)) if "--json" in arguments else _line(finding)
        sys.stdout.write(f"{text}\n")
    return int(any(finding.level == "wrong" for finding in findings))


def _findings() -> list[Finding]:
    try:
        settings = Settings()
    except ValidationError as error:
        names = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        return [Finding("settings", "wrong", f"Not valid: {names}.", "See the table of settings in README.md.")]
    patient = Patient(settings)
    try:
        return examine(patient)
    finally:
        patient.close()


def _line(finding: Finding) -> str:
    remedy = f"  -> {finding.remedy}" if finding.remedy else ""
    return f"{finding.level:<6}{finding.part:<11}{finding.says}{remedy}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
