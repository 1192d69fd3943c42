"""What the doctor found, for people."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from client.cli import app
from client.commands.doctor import findings_table, summary

FINDINGS = [
    {"part": "disk", "level": "well", "says": "45.0 GiB are free.", "remedy": ""},
    {"part": "broker", "level": "wrong", "says": "It does not answer [really].", "remedy": "See that it runs."},
]


def test_each_finding_stands_with_its_remedy_below() -> None:
    output = io.StringIO()
    Console(file=output, width=80).print(findings_table(FINDINGS))
    lines = [line.rstrip() for line in output.getvalue().splitlines()]
    assert lines == [
        "well   disk    45.0 GiB are free.",
        "wrong  broker  It does not answer [really].",
        "               See that it runs.",
    ]


@pytest.mark.parametrize(
    ("wrong", "look", "told"),
    [(0, 0, "All is well."), (2, 0, "2 wrong."), (0, 1, "1 worth a look."), (1, 3, "1 wrong, 3 worth a look.")],
)
def test_the_summary(wrong: int, look: int, told: str) -> None:
    assert summary(wrong, look).plain == told


def test_a_folder_that_serves_nothing_yet(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["--data-dir", str(tmp_path), "doctor"])
    assert answer.exit_code == 1
    assert "python -m service.store.migrate" in answer.output
    assert "1 wrong." in answer.output
