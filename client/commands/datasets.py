"""`tunelens datasets …`."""

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from client.api import Modality
from client.commands.options import Connection
from client.errors import Json, ProblemError, TunelensError
from client.progress import state_text
from client.reporting import console, listing, told_to_people

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
app = typer.Typer(help="Uploads and lists datasets.", no_args_is_help=True)


@app.command()
def upload(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(exists=True, help="A zip of <class>/<image> or such a folder, a table, or texts.")
    ],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    modality: Annotated[
        Modality | None,
        typer.Option(help="By the file's name unless given: .csv, .parquet are tables, .jsonl texts."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to learn; of tables and texts.")] = None,
    text: Annotated[str | None, typer.Option(help="The column with the texts.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="NAME=KIND", help="A table's column: its kind, or ignore.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between the cells of a CSV file.")] = None,
) -> None:
    """Uploads images, a table or texts, and waits until they are checked."""
    connection: Connection = context.obj
    options = {"target": target, "text": text, "delimiter": delimiter, "columns": _kinds(column or []) or None}
    said = {option: value for option, value in options.items() if value is not None}
    with told_to_people(), connection.open() as tunelens, _as_zip(path) as file:
        with console.status(f"Uploading {path}"):
            named = name or path.stem
            sent = tunelens.upload_dataset(file, modality=modality, options=said, name=named, wait_seconds=60)
            dataset = tunelens.wait(sent)
        if dataset["state"] != "ready":
            raise ProblemError(dataset["problem"])
        _show(dataset)


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists datasets, newest first."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        table = listing("id", "state", "modality", "name", "samples", "classes")
        for dataset in tunelens.browse("datasets"):
            profile = dataset.get("profile") or {}
            counts = str(profile.get("samples", profile.get("rows", "-"))), str(len(_classes(profile)) or "-")
            modality, called = dataset.get("modality") or "", dataset.get("name") or ""
            table.add_row(dataset["id"], state_text(dataset["state"]), modality, called, *counts)
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
    found = _table(profile) if "rows" in profile else f"{profile['samples']} {_samples(profile)} of {_named(profile)}"
    console.print(Text.assemble((dataset["id"], "bold"), f" is ready: {found}"))
    for warning in dataset.get("warnings") or []:
        console.print(Text(f"{warning['code']}: {warning['message']}", "yellow"))


def _samples(profile: Json) -> str:
    return "texts" if "median_tokens" in profile else "images"


def _table(profile: Json) -> str:
    """Rows, the target, and the columns it is learned from by kind."""
    target, kinds = profile["target"], Counter(column["kind"] for column in profile["columns"])
    learned = _named(profile) or f"{target['minimum']:g} to {target['maximum']:g}"
    columns = ", ".join(f"{count} {'ignored' if kind == 'ignore' else kind}" for kind, count in kinds.most_common())
    return f"{profile['rows']} rows; target {target['name']}: {learned}; columns: {columns}"


def _named(profile: Json) -> str:
    return ", ".join(f"{name} ({samples})" for name, samples in _classes(profile).items())


def _classes(profile: Json) -> dict[str, int]:
    """Samples by class; of a table whose target is a number there are none."""
    if "rows" in profile:
        counts: dict[str, int] = profile["target"]["classes"]
        return counts
    return {entry["name"]: entry["samples"] for entry in profile.get("classes", [])}


def _kinds(assignments: list[str]) -> dict[str, str]:
    """Kinds by column's name, which may hold a `=`."""
    found = {}
    for assignment in assignments:
        name, separator, kind = assignment.rpartition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{assignment!r} is not NAME=KIND", param_hint="--column")
        found[name] = kind
    return found


@contextmanager
def _as_zip(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary zip of the pictures in a folder and its `metadata.csv`."""
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
