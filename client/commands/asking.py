"""`tunelens predict` and `tunelens explain`: images, rows, texts, or samples of a dataset."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from client.attributions import colored_text, feature_table, summary_table
from client.commands.options import Connection, Model
from client.errors import Json
from client.inputs import Inputs, read_rows
from client.reporting import console, listing, succeeded, told_to_people

SHOWN_INPUTS = 20
Files = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, dir_okay=False, help="Images; or one CSV or JSON Lines file of rows or texts."),
]
Texts = Annotated[list[str] | None, typer.Option("--text", help="A text; may be repeated.")]
Rows = Annotated[
    list[str] | None, typer.Option("--row", metavar="JSON", help="A row as an object, or @file; may be repeated.")
]
DatasetId = Annotated[str | None, typer.Option("--dataset", help="Samples of this dataset, ds_….")]
Split = Annotated[str | None, typer.Option(help="Of the dataset: train, validation or test, as the model's job dealt.")]
Limit = Annotated[int, typer.Option(min=1, help="Samples of the dataset at most.")]


def predict(
    context: typer.Context,
    model: Model,
    files: Files = None,
    text: Texts = None,
    row: Rows = None,
    dataset: DatasetId = None,
    split: Split = None,
    limit: Limit = 64,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="All answers as CSV.")] = None,
) -> None:
    """Says what a model answers."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        asked = _inputs(files, text, row, _samples(dataset, split, limit))
        prediction = succeeded(tunelens.wait(tunelens.predict(model, asked)))
        items = prediction["items"]
        if output is not None:
            output.write_bytes(tunelens.csv(prediction["id"]))
            console.print(Text.assemble((str(output), "bold"), f" has {len(items)} answers"))
            return
        console.print(_answers(items[:SHOWN_INPUTS]))
        if len(items) > SHOWN_INPUTS:
            console.print(f"and {len(items) - SHOWN_INPUTS} more; --output writes all of them", style="dim")


def explain(
    context: typer.Context,
    model: Model,
    files: Files = None,
    text: Texts = None,
    row: Rows = None,
    dataset: DatasetId = None,
    split: Split = None,
    limit: Limit = 64,
    method: Annotated[str | None, typer.Option(help="By default grad_cam for images, shap for rows and texts.")] = None,
    target: Annotated[str | None, typer.Option(help="Why this class; the predicted one if not given.")] = None,
    parameters: Annotated[str, typer.Option(help="The method's parameters as JSON.")] = "{}",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The picture, of all rows the beeswarm; or a .csv of all.")
    ] = None,
) -> None:
    """Shows what the answers rest on: a picture, words in colours, or what each column adds."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        asked = _inputs(files, text, row, _samples(dataset, split, limit))
        chosen = method or _usual_method(tunelens.model(model))
        spec: Json = {"method": chosen, "parameters": json.loads(parameters)}
        if target is not None:
            spec["targets"] = [target]
        with console.status(f"Explaining with {chosen}"):
            explanation = succeeded(tunelens.wait(tunelens.explain(model, asked, spec)))
        if output is not None and output.suffix == ".csv":
            output.write_bytes(tunelens.csv(explanation["id"]))
            console.print(Text.assemble((str(output), "bold"), " has the attributions"))
            return
        _show(explanation)
        picture = _picture(explanation)
        if picture is None and output is not None:
            raise ValueError("There is no picture of single rows; --output takes a .csv of them.")
        if picture is None:
            return
        path = output or _beside(files, chosen)
        if path is not None:
            tunelens.download(picture, to=path)
            console.print(Text.assemble((str(path), "bold"), f" shows {_subject(explanation)}"))


def _inputs(files: list[Path] | None, texts: list[str] | None, rows: list[str] | None, samples: Json | None) -> Inputs:
    given = [name for name, value in (("files", files), ("--text", texts), ("--row", rows)) if value]
    given += ["--dataset"] if samples else []
    if len(given) != 1:
        raise ValueError(f"Give files, --text, --row or --dataset; one of them, not {' and '.join(given) or 'none'}.")
    return Inputs(files=files or (), values=texts or read_rows(rows or ()), samples=samples)


def _samples(dataset: str | None, split: str | None, limit: int) -> Json | None:
    if dataset is None:
        return None
    return {"dataset_id": dataset, "limit": limit} | ({"split": split} if split else {})


def _usual_method(model: Json) -> str:
    return "grad_cam" if model["problem"] == "image_classification" else "shap"


def _answers(items: list[Json]) -> object:
    is_value = "value" in items[0]
    table = listing("input", "value") if is_value else listing("input", "class", "probability")
    for item in items:
        name = item.get("name") or str(item["index"])
        if is_value:
            table.add_row(name, f"{item['value']:.6g}")
        else:
            table.add_row(name, Text(item["label"], "bold"), f"{item['probability']:.4f}")
    return table


def _show(explanation: Json) -> None:
    for warning in explanation.get("warnings", []):
        console.print(f"{warning['code']}: {warning['message']}", style="yellow")
    if explanation.get("summary"):
        console.print(summary_table(explanation["summary"]))
        return
    for item in explanation["items"][:SHOWN_INPUTS]:
        for target in item["targets"]:
            values = target["attributions"]
            if isinstance(values, list) and values:
                console.print(colored_text(target) if "token" in values[0] else feature_table(target))


def _picture(explanation: Json) -> str | None:
    plots = explanation.get("plots") or {}
    if plots:
        found: str | None = plots.get("beeswarm") or plots.get("bar")
        return found
    targets = explanation["items"][0]["targets"]
    return targets[0].get("overlay_url") if targets else None


def _beside(files: list[Path] | None, method: str) -> Path | None:
    """Where a picture goes that nobody gave a name: beside the first file, or nowhere."""
    return files[0].with_suffix(f".{method}.png") if files else None


def _subject(explanation: Json) -> str:
    if explanation.get("plots"):
        return "which columns matter"
    return f"what speaks for {explanation['items'][0]['targets'][0]['label']}"
