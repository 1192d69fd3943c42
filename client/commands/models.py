"""`tunelens predict`, `tunelens explain`, `tunelens export`, `tunelens models`, `tunelens backbones`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from client.commands.options import Connection
from client.errors import Json, ProblemError
from client.figures import score_text
from client.reporting import console, listing, told_to_people

Format = Literal["onnx", "torch_export"]
Model = Annotated[str, typer.Argument(help="A model's id, mdl_…, or an alias.")]


def predict(
    context: typer.Context,
    model: Model,
    images: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Up to 64 images.")],
) -> None:
    """Says what the images show."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        prediction = tunelens.wait(tunelens.predict(model, images))
        _succeeded(prediction)
        table = listing("image", "class", "probability")
        for image, item in zip(images, prediction["items"], strict=True):
            table.add_row(str(image), Text(item["label"], "bold"), f"{item['probability']:.4f}")
        console.print(table)


def explain(
    context: typer.Context,
    model: Model,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    method: Annotated[str, typer.Option(help="grad_cam or shap.")] = "grad_cam",
    target: Annotated[str | None, typer.Option(help="Why this class; the predicted one if not given.")] = None,
    parameters: Annotated[str, typer.Option(help="The method's parameters as JSON.")] = "{}",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The overlay; <image>.<method>.png.")] = None,
) -> None:
    """Writes a picture of what in the image speaks for the class."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        spec: Json = {"method": method, "parameters": json.loads(parameters)}
        if target is not None:
            spec["targets"] = [target]
        with console.status(f"Explaining with {method}"):
            explanation = tunelens.wait(tunelens.explain(model, [image], spec))
        _succeeded(explanation)
        answer = explanation["items"][0]["targets"][0]
        path = output or image.with_suffix(f".{method}.png")
        tunelens.download(answer["overlay_url"], to=path)
        console.print(Text.assemble((str(path), "bold"), f" shows what speaks for {answer['label']}"))


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
        _succeeded(exported)
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


def _succeeded(resource: Json) -> None:
    """Raises `ProblemError` for what failed."""
    if resource["state"] != "succeeded":
        raise ProblemError(resource.get("problem") or {"title": f"{resource.get('id', 'It')} is {resource['state']}"})
