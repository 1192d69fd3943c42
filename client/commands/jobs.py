"""`tunelens jobs …`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from client.api import Tunelens
from client.commands.options import Connection
from client.errors import Json, ProblemError
from client.figures import metrics_table, score_text
from client.progress import diagnosis_text, state_text, view_of, watch
from client.reporting import console, listing, told_to_people

app = typer.Typer(help="Submits, watches, cancels and lists jobs.", no_args_is_help=True)


@app.command()
def submit(
    context: typer.Context,
    dataset_id: Annotated[str, typer.Argument(help="The dataset's id: ds_…")],
    spec: Annotated[Path | None, typer.Option(help="A job spec as JSON; - reads it from the input.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="E.g. --set training.epochs=10")
    ] = None,
    follow: Annotated[bool, typer.Option("--watch/--no-watch", help="Stay and show progress.")] = True,
    dry_run: Annotated[bool, typer.Option(help="Only show what would be done.")] = False,
) -> None:
    """Submits a fine-tuning job; every unset field takes the service's default."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        document: Json = {} if spec is None else json.loads(sys.stdin.read() if str(spec) == "-" else spec.read_text())
        document["dataset_id"] = dataset_id
        for assignment in set_ or []:
            assign(document, assignment)
        job = tunelens.submit_job(document, dry_run=dry_run)
        if dry_run:
            console.print_json(data=job)
            return
        console.print(Text.assemble((job["id"], "bold"), f" is {job['state']}"))
        if follow:
            _watch(tunelens, job)


@app.command("watch")
def watch_(context: typer.Context, job_id: str) -> None:
    """Shows a job's progress from its beginning to its end."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        _watch(tunelens, tunelens.get(job_id))


@app.command()
def rerun(
    context: typer.Context,
    job_id: str,
    apply: Annotated[
        list[str] | None, typer.Option("--apply", metavar="REMEDY", help="A remedy of the job's diagnosis, by its id.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="E.g. --set training.epochs=10")
    ] = None,
    follow: Annotated[bool, typer.Option("--watch/--no-watch", help="Stay and show progress.")] = True,
) -> None:
    """Submits a job like another one, with remedies of its diagnosis or other changes."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        override: Json = {}
        for assignment in set_ or []:
            assign(override, assignment)
        job = tunelens.rerun_job(job_id, apply=apply or [], override=override)
        console.print(Text.assemble((job["id"], "bold"), f" is {job['state']}"))
        if follow:
            _watch(tunelens, job)


@app.command()
def cancel(context: typer.Context, job_id: str) -> None:
    """Stops a job and waits until it has stopped."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        job = tunelens.wait(tunelens.cancel_job(job_id, wait_seconds=30))
        console.print(Text.assemble(f"{job_id} is ", state_text(job["state"])))


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists jobs, newest first."""
    connection: Connection = context.obj
    with told_to_people(), connection.open() as tunelens:
        table = listing("id", "state", "name", "done", "test score", "model")
        for job in tunelens.browse("jobs"):
            fraction = (job.get("progress") or {}).get("fraction")
            table.add_row(
                job["id"],
                state_text(job["state"]),
                job.get("name") or "",
                "" if fraction is None else f"{fraction:.0%}",
                score_text(job.get("metrics") or {}),
                job.get("model_id") or "",
            )
        console.print(table)


def assign(document: Json, assignment: str) -> None:
    """Sets one dotted path, `training.epochs=10`; values are JSON, or text if they are not.

    Raises:
        ValueError: there is no `=`, or the path leads through something that is no object.
    """
    path, separator, text = assignment.partition("=")
    if not separator or not path:
        raise ValueError(f"{assignment!r} is not PATH=VALUE")
    *parents, last = path.split(".")
    target: Any = document
    for name in parents:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise ValueError(f"{path}: {name} is not an object")
    try:
        target[last] = json.loads(text)
    except ValueError:
        target[last] = text


def _watch(tunelens: Tunelens, job: Json) -> None:
    watch(console, tunelens.events(job["id"]), view_of(job))
    job = tunelens.get(job["id"])
    if job.get("diagnosis"):
        console.print(diagnosis_text(job["diagnosis"]))
    if job["state"] == "failed":
        raise ProblemError(job["problem"])
    if job.get("metrics"):
        console.print(metrics_table(job["metrics"]))
    if job.get("model_id"):
        console.print(Text.assemble("The model is ", (job["model_id"], "bold")))
