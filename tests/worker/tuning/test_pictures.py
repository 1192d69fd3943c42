"""What is drawn of a search, and that drawing leaves nothing behind."""

import json

import matplotlib
import matplotlib.pyplot as plt
import pytest

from service.specs.points import random_point
from tests.searches import loss, search_spec
from worker.tuning.pictures import draw_search
from worker.tuning.plots import coordinates_figure, history_figure
from worker.tuning.records import Record

RATE_ONLY = {
    "training.learning_rate": {"low": 1e-5, "high": 1.0, "log": True},
    "training.weight_decay": {"low": 0.0, "high": 1e-6},
}


def course(trials: int) -> list[Record]:
    spec = search_spec(RATE_ONLY)
    drawn = [random_point(spec, number) for number in range(1, trials)]
    return [Record(0, "succeeded", {}, 9.0)] + [
        Record(number, "succeeded", params, loss(params)) for number, params in enumerate(drawn, start=1)
    ]


def test_three_pictures_in_three_forms() -> None:
    spec, style = search_spec(RATE_ONLY), dict(matplotlib.rcParams)
    files = draw_search(spec, [*course(20), Record(20, "failed"), Record(21, "pruned", curve={1: 2.0})])
    names = ("tuning_history", "parameter_importances", "parallel_coordinate")
    assert files.keys() == {f"{name}.{form}" for name in names for form in ("png", "svg", "json")}
    assert all(files[f"{name}.png"].startswith(b"\x89PNG") for name in names)
    assert all(b"</svg>" in files[f"{name}.svg"] for name in names)
    assert (plt.get_fignums(), dict(matplotlib.rcParams)) == ([], style)


def test_the_figures_behind_them() -> None:
    records = course(30)
    files = draw_search(search_spec(RATE_ONLY), records)
    history = json.loads(files["tuning_history.json"])["trials"]
    assert all(trial["last_value"] is None for trial in history)
    assert [trial["value"] for trial in history] == [record.value for record in records]
    assert [trial["best_value"] for trial in history] == [
        min(record.value or 0.0 for record in records[: count + 1]) for count in range(30)
    ]
    importances = json.loads(files["parameter_importances.json"])["importances"]
    assert importances["training.learning_rate"] > 0.9
    assert sum(importances.values()) == pytest.approx(1.0)
    lines = json.loads(files["parallel_coordinate.json"])["trials"]
    assert [line["params"] for line in lines] == [record.params for record in records[1:]]


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ([Record(0, "succeeded", {}, 1.0)], {"tuning_history"}),
        (course(2), {"tuning_history", "parallel_coordinate"}),
        ([*course(2), Record(2, "succeeded", {**course(2)[1].params}, 5.0)], {"tuning_history", "parallel_coordinate"}),
        (course(3), {"tuning_history", "parallel_coordinate", "parameter_importances"}),
    ],
    ids=["baseline-outside", "one-trial", "one-point-twice", "two-trials"],
)
def test_what_the_search_does_not_suffice_for_is_left_out(records: list[Record], names: set[str]) -> None:
    files = draw_search(search_spec(RATE_ONLY), records)
    assert {name.partition(".")[0] for name in files} == names


def test_of_equals_the_first_is_shown_as_the_best_and_choices_are_ticks() -> None:
    document = {
        "metric": "validation_loss",
        "direction": "minimize",
        "axes": [
            {"path": "training.batch_size", "log": False, "choices": [16, 32, 64]},
            {"path": "training.learning_rate", "log": True, "choices": None},
        ],
        "trials": [
            {"number": number, "value": value, "params": {"training.batch_size": size, "training.learning_rate": rate}}
            for number, value, size, rate in [(0, 0.5, 16, 0.1), (1, 0.2, 64, 0.01), (2, 0.2, 32, 0.001)]
        ],
    }
    [axes] = coordinates_figure(document).axes
    assert "trial 1, the best" in axes.get_title("left")
    best = next(line for line in axes.lines if line.get_linewidth() > 2)
    assert list(best.get_ydata()) == pytest.approx([1.0, 0.5, 0.0])
    assert {"16", "32", "64"} <= {text.get_text() for text in axes.texts}
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["training.batch_size", "training.learning_rate", "validation loss"]


@pytest.mark.parametrize(("worst", "scale"), [(3.0, "linear"), (300.0, "log")])
def test_one_bad_trial_does_not_flatten_the_history(worst: float, scale: str) -> None:
    trials = [
        {"number": 0, "value": 1.0, "best_value": 1.0, "last_value": None},
        {"number": 1, "value": None, "best_value": 1.0, "last_value": worst},
        {"number": 2, "value": 0.5, "best_value": 0.5, "last_value": None},
    ]
    figure = history_figure({"metric": "validation_loss", "direction": "minimize", "trials": trials})
    assert figure.axes[0].get_yscale() == scale
