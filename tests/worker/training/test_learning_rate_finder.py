"""The range test: what it tries, what it suggests, what it leaves behind, and that a trial trains with it."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from service.errors import Diverged, Stopped
from tests.worker.training.orders import RecordingSink, order, run, spec
from tests.worker.training.toys import linear_setting, reporter
from worker.training import learning_rate_finder
from worker.training.automatic import decided
from worker.training.learning_rate_finder import (
    FEWEST_STEPS,
    HIGHEST,
    LOWEST,
    RangeTest,
    Rates,
    find_learning_rate,
    halfway_down,
    rising_rates,
)
from worker.training.order import TrialOrder
from worker.training.setting_up import set_up
from worker.training.trial import run_trial


def digest(made: TrialOrder) -> str:
    return hashlib.sha256((made.scratch / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("losses", "place"),
    [
        ([5, 5, 5, 4, 3, 2, 1, 0, 9, 9], 5),  # from 5 to 0: two and a half are done at 2
        ([9, 8.9, 8.8, 8.7, 2, 1], 4),
        ([1, 2, 1, 3, 2.5, 2, 1.6, 1.2, 9], 5),  # the longer of two, from 3 to 1.2
        ([4, 6, 3, 5, 2, 1, 7], 4),  # what sticks out within a descent is passed over
        ([3, 4, 5, 6], None),
        ([1, 1, 1], None),
        ([2, 1], None),
        ([], None),
    ],
)
def test_the_suggestion_is_where_half_of_the_longest_descent_is_done(losses: list[float], place: int | None) -> None:
    assert halfway_down(losses) == place


def test_a_fall_like_a_sigmoid_is_left_where_it_is_steepest() -> None:
    losses = [2.0 - 1.5 / (1 + math.exp(-(place - 60) / 5)) for place in range(100)]
    steepest = min(range(1, 99), key=lambda place: losses[place + 1] - losses[place - 1])
    assert halfway_down(losses) == steepest == 60


def test_ends_of_the_curve_have_no_say_and_rates_have_two_digits() -> None:
    rates = [10 ** (place / 10 - 7) for place in range(100)]
    falling_at_first = [9.0 - place for place in range(9)] + [1.0] * 40
    falling_then = [0.99 - place / 100 for place in range(46)]  # from the 50th to the 95th
    found = RangeTest(rates, [*falling_at_first, *falling_then, 0.0, -1.0, -2.0, -3.0, -4.0]).suggestion

    assert found == float(f"{rates[49 + 22]:.2g}")
    assert RangeTest(rates, [1.0] * 100).suggestion is None
    assert RangeTest([], []).suggestion is None


def test_rates_rise_by_equal_factors_and_layers_keep_their_shares(tmp_path: Path) -> None:
    training = {"layer_decay": 0.5, "optimizer": "sgd"}
    for backbone_rate in (None, 0.01):
        job = spec(training={**training, "backbone_learning_rate": backbone_rate})
        setting = set_up(order(tmp_path, job), reporter())
        rising, optimizer = (
            Rates(setting, rising_rates(33)),
            torch.optim.SGD(setting.parameter_groups(job.training), lr=1.0),
        )
        for step in (0, 16, 32):
            rising.apply(optimizer, step)
            rate = LOWEST * (HIGHEST / LOWEST) ** (step / 32)
            found = sorted({group["lr"] for group in optimizer.param_groups})
            expected = sorted([rate, *((backbone_rate or rate) * 0.5**depth for depth in (1, 2, 3, 4))])
            assert found == pytest.approx(expected)


def test_the_search_leaves_no_trace(tmp_path: Path) -> None:
    job = spec(
        training={"learning_rate": "auto", "epochs": 2}, augmentation={"mixup_alpha": 0.2, "horizontal_flip": 0.5}
    )
    setting = set_up(order(tmp_path, job), reporter())
    before = {name: value.clone() for name, value in setting.learned.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    test = find_learning_rate(setting, reporter())

    assert len(test.rates) > 5
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(value, before[name]) for name, value in setting.learned.state_dict().items())
    assert all(parameter.grad is None for parameter in setting.learned.parameters())
    assert find_learning_rate(setting, reporter()) == test


def test_a_course_that_is_left_early_is_undone_though_somebody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only CPython ends a generator with its last reference, and a debugger or a traceback may hold one more."""
    held: list[Any] = []
    course = learning_rate_finder._course

    def holding(*arguments: Any) -> Any:
        held.append(course(*arguments))
        return held[-1]

    monkeypatch.setattr(learning_rate_finder, "_course", holding)
    job = spec(training={"learning_rate": "auto", "optimizer": "sgd", "gradient_clip_norm": None})
    setting = set_up(order(tmp_path, job), reporter())
    before = {name: value.clone() for name, value in setting.learned.state_dict().items()}
    test = find_learning_rate(setting, reporter())

    assert len(test.rates) < FEWEST_STEPS
    assert all(torch.equal(value, before[name]) for name, value in setting.learned.state_dict().items())


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, 10.0])
def test_the_rate_follows_the_curvature(scale: float) -> None:
    """Inputs that are `scale` times as large bend the loss `scale`² times as much: the best rate falls by as much.

    Two logits of one input x have a cross entropy of curvature x²/2 at most, so that steps of up to 4/x² descend.
    """
    features = torch.tensor([[1.0], [-1.0]]).repeat(20, 1)
    targets = torch.tensor([0, 1]).repeat(20)
    targets[:8] = 1 - targets[:8]  # wrong labels keep the optimum finite
    found = {}
    for factor in (1.0, scale):
        setting = linear_setting(features * factor, targets, epochs=500, learning_rate="auto", batch_size=40)
        with torch.no_grad():
            setting.subject.head.weight.copy_(torch.tensor([[-3.0], [3.0]]) / factor)
            setting.subject.head.bias.zero_()
        test = find_learning_rate(setting, reporter())
        assert max(test.losses) <= 4 * min(test.losses)
        found[factor] = test.suggestion
        assert found[factor] < 4 / factor**2

    assert found[scale] * scale**2 == pytest.approx(found[1.0], rel=0.6)


@pytest.mark.parametrize(
    "more", [{}, {"backbone": {"trainable": "head"}}, {"backbone": {"trainable": "gradual"}, "training": {"epochs": 5}}]
)
def test_training_with_the_found_rate_is_training_with_that_rate(tmp_path: Path, more: dict[str, Any]) -> None:
    draws = not more
    training = {"epochs": 3, "learning_rate": "auto", "ema_decay": 0.9} | more.get("training", {})
    more = {name: value for name, value in more.items() if name != "training"}
    automatic = order(tmp_path, spec(training=training, **more), scratch="automatic", draws=draws)
    outcome, sink = run(automatic)
    found = json.loads((automatic.scratch / "learning_rate_finder.json").read_text())
    rate = found["learning_rate"]
    given = order(tmp_path, spec(training=training | {"learning_rate": rate}, **more), scratch="given", draws=draws)
    same, _ = run(given)

    assert digest(automatic) == digest(given)
    assert outcome.metrics == same.metrics
    assert ("log", f"The range test suggests a learning rate of {rate:g}.") in sink.events
    assert len(found["curve"]) > 5
    effective = json.loads((automatic.scratch / "config.json").read_text())["training"]
    assert effective == {"learning_rate": rate, "backbone_learning_rate": rate, "batch_size": 8}
    if draws:
        assert f"learning rate {rate:g}" in (automatic.scratch / "card.md").read_text()
        files = [{file.name for file in one.files} for one in (outcome, same)]
        assert files[0] - files[1] == {"learning_rate_finder.json"}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_found_rate_learns_better_than_ones_far_from_it(tmp_path: Path, optimizer: str) -> None:
    base = {"epochs": 3, "optimizer": optimizer, "gradient_clip_norm": None}
    job = spec(training={**base, "learning_rate": "auto"})
    _, sink = run(order(tmp_path, job, scratch="auto", per_class=32))
    rate = sink.epochs[0].learning_rate
    for factor in (0.01, 100.0):
        job = spec(training={**base, "learning_rate": min(100.0, rate * factor)})
        try:
            _, other = run(order(tmp_path, job, scratch=f"{factor}", per_class=32))
        except Diverged:
            continue
        assert sink.epochs[-1].train_loss < other.epochs[-1].train_loss


def test_a_resumed_trial_does_not_search_again(tmp_path: Path) -> None:
    job = spec(training={"epochs": 4, "learning_rate": "auto", "batch_size": "auto"})
    whole = order(tmp_path, job)
    _, whole_sink = run(whole)
    interrupted = order(tmp_path, job, scratch="interrupted")
    with pytest.raises(Stopped):
        run_trial(interrupted, RecordingSink(stop_after=2))
    _, resumed = run(interrupted)

    assert sum("range test" in message for _, message in whole_sink.events) == 1
    assert not any("range test" in message or "fit" in message for _, message in resumed.events)
    assert ("log", "Resumed after epoch 2.") in resumed.events
    assert digest(interrupted) == digest(whole)


def test_what_another_order_found_is_not_taken(tmp_path: Path) -> None:
    first = set_up(order(tmp_path, spec(training={"learning_rate": "auto"}, seed=1)), reporter())
    decided(first, reporter())
    kept = json.loads((tmp_path / "scratch" / "automatic.json").read_text())
    second = set_up(order(tmp_path, spec(training={"learning_rate": "auto"}, seed=2)), reporter())
    decided(second, reporter())

    assert json.loads((tmp_path / "scratch" / "automatic.json").read_text())["order"] != kept["order"]


def test_numbers_are_left_alone(tmp_path: Path) -> None:
    setting = set_up(order(tmp_path, spec()), reporter())
    assert decided(setting, reporter()) is setting
