"""The `tunelens` command."""

from typing import Annotated

import typer

from client.commands import asking, datasets, doctor, jobs, models, serving
from client.commands.options import DEFAULT_DATA_DIR, Connection, DataDir

app = typer.Typer(
    help="Trains models on images, tables and texts, and explains what they answer.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serving.up)
app.command()(serving.demo)
app.command()(doctor.doctor)
app.add_typer(datasets.app, name="datasets")
app.add_typer(jobs.app, name="jobs")
app.command()(models.models)
app.command()(models.backbones)
app.command()(asking.predict)
app.command()(asking.explain)
app.command()(models.export)


@app.callback()
def connection(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="TUNELENS_URL", help="Where the service is; found by itself if it runs here.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="TUNELENS_API_KEY", help="API key; by default the admin key of the service here."),
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Notes how commands reach the service."""
    context.obj = Connection()
    context.obj.url, context.obj.key, context.obj.data_dir = url, key, data_dir


if __name__ == "__main__":
    app()
