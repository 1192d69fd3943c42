"""`tunelens export`, `tunelens models`, `tunelens backbones`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from client.commands.options import Connection, Model
from client.figures import score_text
from client.reporting import console, listing, succeeded, told_to_people

Format = Literal["onnx", "torch_export"]


def export(
    context: typer.Context,
    model: Model,
    format: Annotated[Format, typer.Option(help="For which runtime.")] = "onnx",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; model.onnx or model.pt2.")] = None,
) -> None:
    """Writes a model as one file that runs without this service."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        with console.status(f"Exporting as {format}"):
            exported = tunelens.wait(tunelens.export(model, format))
        succeeded(exported)
        artifact = exported["artifact"]
        path = output or Path(artifact["name"])
        tunelens.download(artifact["url"], to=path, sha256=artifact["sha256"])
        console.print(Text.assemble((str(path), "bold"), f" takes RGB in 0..1 and has {artifact['size_bytes']} bytes"))


def models(context: typer.Context) -> None:
    """Lists trained models, newest first."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        table = listing("id", "backbone or estimator", "classes", "test score", "aliases")
        for model in tunelens.browse("models"):
            learner = model["backbone"] or (model.get("estimator") or {}).get("kind") or ""
            table.add_row(
                model["id"],
                learner,
                str(len(model["classes"]) or "-"),
                score_text(model.get("metrics") or {}),
                ", ".join(model.get("aliases") or []),
            )
        console.print(table)


def backbones(context: typer.Context) -> None:
    """Lists what can be fine-tuned, and where its weights would come from."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        table = listing("name", "source", "parameters", "input", "weights", "license")
        for entry in tunelens.backbones():
            count = f"{entry['parameters'] / 1e6:.1f} M" if entry["parameters"] else "-"
            style = "bold" if entry.get("default") else None
            cells = entry["source"], count, str(entry["input_size"]), entry["weights"], entry["license"]
            table.add_row(entry["name"], *cells, style=style)
        console.print(table)
