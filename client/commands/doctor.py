"""`tunelens doctor`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from client.commands.options import Connection
from client.errors import Json, TunelensError
from client.reporting import console, told_to_people

STYLES = {"well": "green", "look": "yellow", "wrong": "bold red"}
PROGRAM = [sys.executable, "-P", "-m", "service.doctor", "--json"]


def doctor(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Of the service to examine; ./data by default.")] = None,
) -> None:
    """Says what is wrong with the service here, and what to do; exits with 1 if something is.

    It looks where the service's own processes look: at DATABASE_URL, BROKER_URL and ARTIFACTS_URL, or into the data
    directory.
    """
    connection: Connection = context.obj
    folder = (data_dir or connection.data_dir).resolve()
    with told_to_people():
        with console.status("Examining"):
            findings = examine(folder)
        console.print(findings_table(findings))
        wrong = sum(finding["level"] == "wrong" for finding in findings)
        look = sum(finding["level"] == "look" for finding in findings)
        console.print(summary(wrong, look))
    if wrong:
        raise typer.Exit(1)


def examine(data_dir: Path) -> list[Json]:
    """What the service's own doctor finds.

    Raises:
        TunelensError: it found nothing to say.
    """
    environment = {**os.environ, "TUNELENS_DATA_DIR": str(data_dir)}
    answer = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    findings = [json.loads(line) for line in answer.stdout.splitlines()]
    if not findings:
        raise TunelensError(f"The doctor fell over:\n{answer.stderr[-2000:]}")
    return findings


def findings_table(findings: list[Json]) -> Table:
    """A line each, what to do below what is not well."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        says = Text(finding["says"])
        if finding["remedy"]:
            says.append(f"\n{finding['remedy']}", style="dim")
        table.add_row(Text(finding["level"], STYLES[finding["level"]]), finding["part"], says)
    return table


def summary(wrong: int, look: int) -> Text:
    """In one sentence."""
    if not wrong and not look:
        return Text("All is well.", "bold green")
    parts = [f"{wrong} wrong"] * bool(wrong) + [f"{look} worth a look"] * bool(look)
    return Text(f"{', '.join(parts)}.", "bold red" if wrong else "bold yellow")
