"""`tunelens datasets …`."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from client.commands.options import Connection
from client.errors import Json, ProblemError, TunelensError
from client.progress import state_text
from client.reporting import console, listing, told_to_people

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
app = typer.Typer(help="Uploads and lists datasets.", no_args_is_help=True)


@app.command()
def upload(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, help="A zip of <class>/<image>, or such a folder.")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
) -> None:
    """Uploads images and waits until they are checked."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens, _as_zip(path) as archive:
        with console.status(f"Uploading {path}"):
            dataset = tunelens.wait(tunelens.upload_dataset(archive, name=name or path.stem, wait_seconds=60))
        if dataset["state"] != "ready":
            raise ProblemError(dataset["problem"])
        _show(dataset)


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists datasets, newest first."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        table = listing("id", "state", "name", "samples", "classes")
        for dataset in tunelens.browse("datasets"):
            profile = dataset.get("profile") or {}
            counts = str(profile.get("samples", "-")), str(len(profile.get("classes", [])) or "-")
            table.add_row(dataset["id"], state_text(dataset["state"]), dataset.get("name") or "", *counts)
        console.print(table)


@app.command()
def delete(
    context: typer.Context,
    dataset_id: str,
    cascade: Annotated[bool, typer.Option(help="Delete its jobs and models as well.")] = False,
) -> None:
    """Deletes a dataset."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        tunelens.delete(dataset_id, cascade=cascade)
        console.print(f"{dataset_id} is deleted.")


def _show(dataset: Json) -> None:
    profile = dataset["profile"]
    classes = ", ".join(f"{entry['name']} ({entry['samples']})" for entry in profile["classes"])
    console.print(Text.assemble((dataset["id"], "bold"), f" is ready: {profile['samples']} images of {classes}"))
    for warning in dataset.get("warnings") or []:
        console.print(Text(f"{warning['code']}: {warning['message']}", "yellow"))


@contextmanager
def _as_zip(path: Path) -> Iterator[Path]:
    """The path itself, or a temporary zip of the pictures in a folder and its `metadata.csv`."""
    if not path.is_dir():
        yield path
        return
    pictures = sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES)
    metadata = [file for file in [path / "metadata.csv"] if file.is_file()]
    if not pictures:
        raise TunelensError(f"There are no pictures in {path}.")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"{path.resolve().name}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for member in [*pictures, *metadata]:
                file.write(member, member.relative_to(path))
        yield archive
