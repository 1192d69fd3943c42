"""`tunelens up` and `tunelens demo`."""

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.commands.options import Connection
from client.demo import Demo
from client.embedded import Embedded
from client.reporting import console, told_to_people


def up(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Where to keep everything; ./data by default.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
) -> None:
    """Serves until Ctrl-C: API, training and explaining, on SQLite, with nothing else to install."""
    connection: Connection = context.obj
    embedded = Embedded(data_dir or connection.data_dir, host=host, port=port, say=say)
    with told_to_people(), embedded.supervisor.signals():
        try:
            with console.status(f"Starting in {embedded.data_dir}"):
                embedded.start()
            _welcome(embedded)
            embedded.tend()
        finally:
            embedded.stop()


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the pictures, the data and the logs.")] = Path("demo-output"),
    epochs: Annotated[int, typer.Option(min=1, max=100, help="Epochs at most; early stopping may end sooner.")] = 10,
) -> None:
    """Fine-tunes on handwritten digits over HTTP, predicts, explains with Grad-CAM and SHAP, and stops again."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with told_to_people():
        Demo(console, output, epochs).run()


def say(message: str) -> None:
    """One line, as it happens."""
    console.print(Text(message), soft_wrap=True)


def _welcome(embedded: Embedded) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("address", Text(embedded.url, "bold"))
    table.add_row("admin key", Text(embedded.admin_key, "bold"))
    table.add_row("API docs", f"{embedded.url}/docs")
    table.add_row("logs", f"{embedded.logs}/{{api,train,explain}}.log")
    seconds = sum(embedded.phases.values())
    title = f"Tunelens is ready ({seconds:.1f} s)"
    console.print(Panel(table, title=title, title_align="left", border_style="green", expand=False))
    say(f'curl -H "Authorization: Bearer {embedded.admin_key}" {embedded.url}/v1/backbones')
    say("\nCtrl-C stops it; unfinished jobs go on at the next start.")
