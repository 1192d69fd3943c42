"""A search as a person sees it: a row a trial, the best one marked."""

import io

import pytest
from rich.console import Console

from client.progress import JobView, SearchView, view_of, watch
from client.sse import Event


def trial(seq: int, number: int, state: str, **data: object) -> Event:
    return Event(seq, "trial", message=f"trial {number} {state}", data={"number": number, "state": state, **data})


def epoch(seq: int, number: int, at: int, loss: float) -> Event:
    data = {"number": number, "epoch": at, "train_loss": loss, "validation_loss": loss, "validation_accuracy": loss}
    return Event(seq, "epoch", data=data)


EVENTS = [
    Event(1, "state", message="running", data={"state": "running"}),
    trial(2, 0, "running"),
    trial(3, 1, "queued", params={"training.learning_rate": 0.0123456, "training.batch_size": 16}),
    trial(4, 1, "running"),
    epoch(5, 1, 1, 0.5),
    epoch(6, 0, 1, 0.75),
    epoch(7, 1, 2, 0.625),
    epoch(7, 1, 2, 0.625),
    trial(8, 1, "succeeded", best_epoch=1),
    trial(9, 0, "pruned", best_epoch=1),
    Event(10, "warning", level="warning", message="The sampler failed"),
    trial(11, 2, "failed"),
    Event(12, "state", message="succeeded", data={"state": "succeeded"}),
]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_trials_side_by_side(is_terminal: bool) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=140)
    view = watch(console, EVENTS, SearchView(30, "validation_loss"))
    assert view.best() == 1
    assert {number: len(row["epochs"]) for number, row in view.rows.items()} == {0: 1, 1: 2, 2: 0}
    text = output.getvalue()
    assert "The sampler failed" in text
    if is_terminal:
        assert "learning_rate 0.0123, batch_size 16" in text
        assert "3/3" in text
    else:
        assert "trial 1, epoch 2: train loss 0.6250" in text


def test_the_best_is_shown_though_it_is_long_past() -> None:
    events = []
    for number in range(40):
        events.append(epoch(3 * number, number, 1, 0.1 if number == 3 else 0.5))
        events.append(trial(3 * number + 1, number, "succeeded", best_epoch=1))
    view = watch(Console(file=io.StringIO()), events, SearchView(40, "validation_loss"))
    output = io.StringIO()
    Console(file=output, width=140).print(view)
    rows = [line.split()[0] for line in output.getvalue().splitlines() if "succeeded" in line]
    assert rows == ["3", *map(str, range(25, 40))]
    assert watch(Console(file=io.StringIO()), events, SearchView(40, "validation_accuracy")).best() == 0


def test_a_job_is_shown_by_what_it_is() -> None:
    spec = {"training": {"epochs": 3}}
    assert isinstance(view_of({"spec": spec}), JobView)
    tuned = {"spec": spec | {"tuning": {"metric": "validation_loss"}}, "progress": {"trials_total": 30}}
    assert isinstance(view_of(tuned), SearchView)
