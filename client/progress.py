"""A job as it happens: a bar over the epochs and a table that grows. On a terminal live, elsewhere line by line."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from client.errors import Json
from client.figures import columns_of, epoch_line, figure
from client.sse import Event

STATE_STYLES = {"succeeded": "green", "failed": "red", "rejected": "red", "cancelled": "yellow", "running": "cyan"}
SHOWN_TRIALS = 15
LOWER_IS_BETTER = ("validation_loss", "validation_rmse", "validation_mae")


class SearchView:
    """What has been seen of a job with many trials: one row each, the best one marked."""

    def __init__(self, trials: int, metric: str) -> None:
        self.metric = metric
        self.rows: dict[int, Json] = {}
        self.lines: list[Text] = []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials"),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("waiting for a worker", total=trials)

    def take(self, event: Event) -> str:
        """Notes one event; returns it as a line of text."""
        message = event.message or event.type
        number = event.data.get("number")
        if isinstance(number, int) and event.type in ("trial", "epoch"):
            row = self.rows.setdefault(number, {"state": "queued", "params": {}, "epochs": {}})
            if event.type == "epoch":
                row["epochs"][event.data["epoch"]] = event.data
                return f"trial {number}, {epoch_line(event.data)}"
            row |= {key: event.data[key] for key in ("state", "params", "best_epoch") if key in event.data}
            self._bar.update(self._task, completed=len(self._ended()))
        elif event.type == "state":
            self._bar.update(self._task, description=str(event.data.get("state", message)))
        elif event.level in ("warning", "error"):
            self.lines.append(Text(message, style="yellow" if event.level == "warning" else "red"))
        return message

    def finish(self) -> None:
        """A search that ends early has no more trials."""
        self._bar.update(self._task, total=max(1, len(self.rows)), completed=max(1, len(self._ended())))
        self._bar.stop_task(self._task)

    def __rich__(self) -> RenderableType:
        """Warnings, the latest trials and the best, the bar."""
        return Group(*self.lines[-5:], *([self._table()] if self.rows else []), self._bar)

    def best(self) -> int | None:
        """The number of the best trial that has succeeded."""
        sign = 1.0 if self.metric in LOWER_IS_BETTER else -1.0
        scores = {number: self._score(row) for number, row in self.rows.items() if row["state"] == "succeeded"}
        known = {number: sign * score for number, score in scores.items() if score is not None}
        return min(known, key=lambda number: (known[number], number), default=None)

    def _ended(self) -> list[int]:
        return [number for number, row in self.rows.items() if row["state"] not in ("queued", "running")]

    def _score(self, row: Json) -> float | None:
        epochs = row["epochs"]
        at = row.get("best_epoch") or max(epochs, default=None)
        value = epochs[at].get(self.metric) if at in epochs else None
        return value if isinstance(value, float) else None

    def _table(self) -> Table:
        table, best = Table(box=None, header_style="dim", pad_edge=False), self.best()
        for title in ("trial", "state", "epochs", self.metric.replace("_", " ")):
            table.add_column(title, justify="left" if title == "state" else "right")
        table.add_column("parameters")
        latest = sorted(self.rows)[-SHOWN_TRIALS:]
        for number in ([best] if best is not None and best not in latest else []) + latest:
            row = self.rows[number]
            params = ", ".join(f"{path.rpartition('.')[2]} {_short(value)}" for path, value in row["params"].items())
            style = "bold green" if number == best else None
            table.add_row(str(number), state_text(row["state"]), str(len(row["epochs"])),
                          figure(self._score(row), ".4f"), params or "as written", style=style)  # fmt: skip
        return table


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
        columns = columns_of(self.rows[0])
        for _, title, _ in columns:
            table.add_column(title, justify="right")
        for row in self.rows:
            is_best = bool(losses) and row.get("validation_loss") == min(losses)
            cells = [figure(row.get(name), form) for name, _, form in columns]
            table.add_row(str(row["epoch"]), *cells, style="bold green" if is_best else None)
        return table


View = TypeVar("View", bound=JobView | SearchView)


def view_of(job: Json) -> JobView | SearchView:
    """The way to show a job: by its epochs, or by its trials where there are many."""
    spec = job["spec"]
    tuning = spec.get("tuning")
    if tuning:
        return SearchView(job["progress"]["trials_total"], tuning["metric"])
    return JobView(spec["training"]["epochs"])


def watch(console: Console, events: Iterable[Event], view: View) -> View:
    """Shows events until they end."""
    live = Live(view, console=console, refresh_per_second=8) if console.is_terminal else nullcontext()
    with live:
        for event in _until_finished(view, events):
            line = view.take(event)
            if not console.is_terminal:
                console.print(Text(line), soft_wrap=True)
    return view


def _until_finished(view: JobView | SearchView, events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        yield event
        if event.is_terminal:
            view.finish()


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=STATE_STYLES.get(state, "default"))


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


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
