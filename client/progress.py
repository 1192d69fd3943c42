"""A job as it happens: a bar over the epochs and a table that grows. On a terminal live, elsewhere line by line."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from client.errors import Json
from client.sse import Event

STATE_STYLES = {"succeeded": "green", "failed": "red", "rejected": "red", "cancelled": "yellow", "running": "cyan"}
COLUMNS = (
    ("train_loss", "train loss", ".4f"),
    ("validation_loss", "validation loss", ".4f"),
    ("train_accuracy", "train accuracy", ".3f"),
    ("validation_accuracy", "validation accuracy", ".3f"),
    ("seconds", "seconds", ".1f"),
)


class JobView:
    """What has been seen of one job."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.rows: list[Json] = []
        self.lines: list[Text] = []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("waiting for a worker", total=epochs)

    def take(self, event: Event) -> str:
        """Notes one event; returns it as a line of text."""
        if event.type == "epoch":
            self._take_epoch(event.data)
            return epoch_line(event.data)
        message = event.message or event.type
        if event.type == "state":
            state = str(event.data.get("state", ""))
            self._bar.update(self._task, description=state or message)
        elif event.level in ("warning", "error"):
            self.lines.append(Text(message, style="yellow" if event.level == "warning" else "red"))
        return message

    def finish(self) -> None:
        """Early stopping makes fewer epochs all there are."""
        self._bar.update(self._task, total=max(1, len(self.rows)), completed=max(1, len(self.rows)))
        self._bar.stop_task(self._task)

    def __rich__(self) -> RenderableType:
        """Warnings, the table, the bar."""
        return Group(*self.lines, *([self._table()] if self.rows else []), self._bar)

    def _take_epoch(self, data: Json) -> None:
        known = [row["epoch"] for row in self.rows]
        if data["epoch"] in known:
            self.rows[known.index(data["epoch"])] = data
        else:
            self.rows.append(data)
        self._bar.update(self._task, completed=len(self.rows), description="training")

    def _table(self) -> Table:
        losses = [row["validation_loss"] for row in self.rows if row.get("validation_loss") is not None]
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column("epoch", justify="right")
        for _, title, _ in COLUMNS:
            table.add_column(title, justify="right")
        for row in self.rows:
            is_best = bool(losses) and row.get("validation_loss") == min(losses)
            cells = [_figure(row.get(name), form) for name, _, form in COLUMNS]
            table.add_row(str(row["epoch"]), *cells, style="bold green" if is_best else None)
        return table


def watch(console: Console, events: Iterable[Event], *, epochs: int) -> JobView:
    """Shows events until they end."""
    view = JobView(epochs)
    live = Live(view, console=console, refresh_per_second=8) if console.is_terminal else nullcontext()
    with live:
        for event in _until_finished(view, events):
            line = view.take(event)
            if not console.is_terminal:
                console.print(Text(line), soft_wrap=True)
    return view


def _until_finished(view: JobView, events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        yield event
        if event.is_terminal:
            view.finish()


def epoch_line(data: Json) -> str:
    """One epoch in one line."""
    figures = ", ".join(f"{title} {_figure(data.get(name), form)}" for name, title, form in COLUMNS)
    return f"epoch {data['epoch']}: {figures}"


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=STATE_STYLES.get(state, "default"))


def metrics_table(metrics: Json) -> Table:
    """Test and validation figures beside those of always guessing the commonest class."""
    table = Table(header_style="dim", box=None, pad_edge=False)
    table.add_column("metric")
    parts = [part for part in ("test", "validation", "baseline") if metrics.get(part)]
    for part in parts:
        table.add_column(part, justify="right")
    figures = metrics[parts[0]] if parts else {}
    for name in [name for name, value in figures.items() if isinstance(value, int | float)]:
        cells = [_figure(metrics[part].get(name), ".4f") for part in parts]
        table.add_row(name.replace("_", " "), *cells)
    return table


def diagnosis_text(diagnosis: Json) -> Text:
    """The verdict in one line, and what to try first in another."""
    verdict = str(diagnosis["verdict"])
    style = "bold green" if verdict == "good_fit" else "bold yellow"
    text = Text.assemble(
        (verdict.replace("_", " "), style), f" ({diagnosis['confidence']:.0%}): {diagnosis['summary']}"
    )
    if diagnosis["remedies"]:
        first = diagnosis["remedies"][0]
        text.append(f"\nFirst remedy: {first['title']} (")
        text.append(first["id"], "bold").append("). ").append(first["rationale"])
    return text


def _figure(value: object, form: str) -> str:
    if isinstance(value, float):
        return format(value, form)
    return str(value) if isinstance(value, int) else "-"
