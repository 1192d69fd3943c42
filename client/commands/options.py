"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

from client.api import Tunelens
from client.reporting import connect

DEFAULT_DATA_DIR = Path("data")

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="TUNELENS_DATA_DIR", help="Where the embedded service keeps everything.")
]


class Connection:
    """How the commands reach the service; filled in by the command line's first options."""

    url: str | None = None
    key: str | None = None
    data_dir: Path = DEFAULT_DATA_DIR

    def open(self) -> Tunelens:
        """A client; raises `TunelensError` when there is no key."""
        return connect(self.url, self.key, self.data_dir)


Model = Annotated[str, typer.Argument(help="A model's id, mdl_…, or an alias.")]
