"""Groups, optimizers and schedules against closed forms and torch's own schedulers."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from service.specs.jobs import TrainingSpec
from worker.training.optimisation import Schedule, build_optimizer, parameter_groups


def network() -> tuple[nn.Module, nn.Module]:
    head = nn.Linear(4, 2)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), head), head


def rates(spec: TrainingSpec, steps_per_epoch: int) -> list[float]:
    schedule = Schedule(spec, steps_per_epoch)
    return [schedule.factor(step) for step in range(spec.epochs * steps_per_epoch)]


def torchs(make: type, steps: int, **options: object) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_decay_and_rates_by_group() -> None:
    learned, head = network()
    spec = TrainingSpec(learning_rate=0.1, backbone_learning_rate=0.01, weight_decay=0.5)
    names = {id(parameter): name for name, parameter in learned.named_parameters()}
    found = {
        names[id(parameter)]: (group["base_rate"], group["weight_decay"])
        for group in parameter_groups(learned, head, spec)
        for parameter in group["params"]
    }

    assert found == {
        "0.weight": (0.01, 0.5),
        "0.bias": (0.01, 0.0),
        "1.weight": (0.01, 0.0),
        "1.bias": (0.01, 0.0),
        "3.weight": (0.1, 0.5),
        "3.bias": (0.1, 0.0),
    }


def test_decay_shrinks_weights_by_the_closed_form() -> None:
    learned, head = network()
    spec = TrainingSpec(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    optimizer = build_optimizer(parameter_groups(learned, head, spec), spec)
    before = {name: parameter.clone() for name, parameter in learned.named_parameters()}
    for parameter in learned.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()

    for name, parameter in learned.named_parameters():
        shrunk = 1 - 0.1 * 0.5 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * shrunk)


def test_sgd_has_momentum() -> None:
    learned, head = network()
    spec = TrainingSpec(optimizer="sgd", learning_rate=1.0, weight_decay=0.0)
    optimizer = build_optimizer(parameter_groups(learned, head, spec), spec)
    before = head.bias.detach().clone()
    for _ in range(2):
        head.bias.grad = torch.ones(2)
        optimizer.step()

    torch.testing.assert_close(head.bias.detach(), before - 1 - 1.9)


def test_cosine_is_torchs() -> None:
    spec = TrainingSpec(epochs=5, schedule="cosine")
    assert rates(spec, 7) == pytest.approx(torchs(CosineAnnealingLR, 35, T_max=35), abs=1e-12)


def test_one_cycle_is_torchs() -> None:
    spec = TrainingSpec(epochs=5, schedule="one_cycle")
    expected = torchs(OneCycleLR, 40, max_lr=1.0, total_steps=40, cycle_momentum=False)
    assert rates(spec, 8) == pytest.approx(expected, abs=1e-12)

    warm = TrainingSpec(epochs=5, schedule="one_cycle", warmup_epochs=1)
    expected = torchs(OneCycleLR, 40, max_lr=1.0, total_steps=40, pct_start=0.2, cycle_momentum=False)
    assert rates(warm, 8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau"])
def test_warm_up_is_linear_to_the_full_rate(schedule: str) -> None:
    spec = TrainingSpec(epochs=4, warmup_epochs=2, schedule=schedule)  # type: ignore[arg-type]
    found = rates(spec, 5)

    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[10] == 1.0
    last = 0.5 * (1 + math.cos(math.pi * 0.9)) if schedule == "cosine" else 1.0
    assert found[-1] == pytest.approx(last)


def test_plateau_lowers_the_rate_as_torch_does() -> None:
    losses = [5, 4, 4, 4, 4, 3, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 2.0]
    schedule = Schedule(TrainingSpec(epochs=20, schedule="plateau"), 1)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = ReduceLROnPlateau(optimizer, factor=0.3, patience=2, threshold=0.0, eps=0.0)
    for step, loss in enumerate(losses):
        schedule.see(loss)
        reference.step(loss)
        assert schedule.factor(step) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert schedule.plateau_factor == pytest.approx(0.3**3)


def test_a_single_step_has_a_rate() -> None:
    for schedule in ("cosine", "constant", "one_cycle", "plateau"):
        [rate] = rates(TrainingSpec(epochs=1, schedule=schedule), 1)
        assert 0 < rate <= 1


def test_rates_reach_every_group() -> None:
    learned, head = network()
    spec = TrainingSpec(epochs=2, warmup_epochs=1, learning_rate=0.1, backbone_learning_rate=0.02)
    optimizer = build_optimizer(parameter_groups(learned, head, spec), spec)
    Schedule(spec, 4).apply(optimizer, 1)

    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.01, 0.05])
