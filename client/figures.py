"""Figures of epochs and models as people read them."""

from rich.table import Table

from client.errors import Json

Columns = tuple[tuple[str, str, str], ...]
LOSSES: Columns = (("train_loss", "train loss", ".4f"), ("validation_loss", "validation loss", ".4f"))
SECONDS: Columns = (("seconds", "seconds", ".1f"),)
OF_CLASSES: Columns = (
    *LOSSES,
    ("train_accuracy", "train accuracy", ".3f"),
    ("validation_accuracy", "validation accuracy", ".3f"),
    *SECONDS,
)
OF_VALUES: Columns = (
    *LOSSES,
    ("validation_rmse", "validation rmse", ".4g"),
    ("validation_r2", "validation r2", ".3f"),
    *SECONDS,
)


def columns_of(epoch: Json) -> Columns:
    """What is shown of epochs: of classes accuracies, of values errors."""
    return OF_VALUES if epoch.get("validation_rmse") is not None else OF_CLASSES


def epoch_line(data: Json) -> str:
    """One epoch in one line."""
    figures = ", ".join(f"{title} {figure(data.get(name), form)}" for name, title, form in columns_of(data))
    return f"epoch {data['epoch']}: {figures}"


def metrics_table(metrics: Json) -> Table:
    """Test and validation figures beside those of always guessing the commonest class."""
    table = Table(header_style="dim", box=None, pad_edge=False)
    table.add_column("metric")
    parts = [part for part in ("test", "validation", "baseline") if metrics.get(part)]
    for part in parts:
        table.add_column(part, justify="right")
    figures = metrics[parts[0]] if parts else {}
    for name in [name for name, value in figures.items() if isinstance(value, int | float)]:
        cells = [figure(metrics[part].get(name), ".4f") for part in parts]
        table.add_row(name.replace("_", " "), *cells)
    return table


def score_text(metrics: Json) -> str:
    """What a model is worth on the test split in one figure: its accuracy, or of values r2."""
    test = metrics.get("test") or {}
    name = "accuracy" if "accuracy" in test else "r2"
    return "" if test.get(name) is None else f"{name} {test[name]:.4f}"


def figure(value: object, form: str) -> str:
    """A number in that form; a dash where there is none."""
    if isinstance(value, float):
        return format(value, form)
    return str(value) if isinstance(value, int) else "-"
