"""Errors, for people: what happened, in one panel, and an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.api import Tunelens
from client.embedded import running_url
from client.errors import Json, ProblemError, TunelensError
from client.supervisor import StartFailed, StopAsked

INTERRUPTED = 130
ID_WIDTH = 24
DEFAULT_URL = "http://127.0.0.1:8000"
PIPE_WIDTH = 200
console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
error_console = Console(stderr=True, highlight=False)


@contextmanager
def told_to_people() -> Iterator[None]:
    """Turns what is expected to go wrong into a panel and a non-zero exit."""
    try:
        yield
    except ProblemError as error:
        fail(str(error), title="The service refused")
    except StartFailed as error:
        tail = error.child.log_tail()
        fail(f"{error}\n\n{tail}\n\nAll of it: {error.child.log}", title="Tunelens did not start")
    except (TunelensError, ValueError, OSError) as error:
        fail(str(error), title="That did not work")
    except (StopAsked, KeyboardInterrupt):
        error_console.print("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None


def fail(message: str, *, title: str) -> None:
    """Shows the message and exits with 1."""
    error_console.print(Panel(Text(message), title=title, title_align="left", border_style="red", expand=False))
    raise typer.Exit(1)


def succeeded(resource: Json) -> Json:
    """The resource; raises `ProblemError` for what failed."""
    if resource["state"] != "succeeded":
        raise ProblemError(resource.get("problem") or {"title": f"{resource.get('id', 'It')} is {resource['state']}"})
    return resource


def listing(*columns: str) -> Table:
    """A plain table; columns of ids are never cut, since ids are there to be copied."""
    table = Table(header_style="dim", box=None, pad_edge=False)
    for column in columns:
        is_id = column in ("id", "model")
        table.add_column(column, no_wrap=is_id, min_width=ID_WIDTH if is_id else None)
    return table


def connect(url: str | None, key: str | None, data_dir: Path) -> Tunelens:
    """A client for the service the user means: as told, else the one running in the data directory.

    Raises:
        TunelensError: there is no key.
    """
    address = url or running_url(data_dir) or DEFAULT_URL
    if key is None:
        key = os.environ.get("TUNELENS_ADMIN_KEY") or _read(data_dir / "admin.key")
    if not key:
        raise TunelensError("No key: give --key, set TUNELENS_API_KEY, or run where `tunelens up` keeps its data.")
    return Tunelens(address, key)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
