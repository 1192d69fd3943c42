from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from service.errors import Stopped
from tests.worker.training.orders import RecordingSink
from tests.worker.training.toys import linear_setting, reporter
from worker.training.fitting import fit
from worker.training.learner import Learner
from worker.training.precision import Precision
from worker.training.reporting import Reporter
from worker.training.setting import Setting

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("wanted", "dtype", "replaced"),
    [("auto", torch.float32, None), ("float32", torch.float32, None), ("bfloat16", torch.bfloat16, None),
     ("float16", torch.float32, "float16 is not for CPUs; the trial computes in float32.")],
)  # fmt: skip
def test_on_a_cpu(wanted: str, dtype: torch.dtype, replaced: str | None) -> None:
    precision = Precision(wanted, CPU)  # type: ignore[arg-type]
    with precision.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (product.dtype, precision.replaced) == (dtype, replaced)
    assert not precision.scaler.is_enabled()


@pytest.mark.filterwarnings("ignore:.*GradScaler is enabled, but CUDA is not available")
@pytest.mark.skipif(torch.cuda.is_bf16_supported(including_emulation=False), reason="needs a GPU without bfloat16")
def test_on_a_gpu_without_bfloat16() -> None:
    """None at all is one of them."""
    precision = Precision("bfloat16", torch.device("cuda"))
    assert (precision.dtype, precision.name) == (torch.float16, "float16")
    assert precision.replaced == "bfloat16 is not for this GPU; the trial computes in float16."
    for wanted in ("auto", "float16", "float32"):
        assert Precision(wanted, torch.device("cuda")).replaced is None  # type: ignore[arg-type]


def scaled(scale: float, **training: Any) -> Setting:
    """A softmax regression on full batches, with a loss scale as float16 has it on CUDA."""
    generator = torch.Generator().manual_seed(0)
    features, targets = torch.randn(12, 4, generator=generator) * 10, torch.arange(12) % 3
    asked = {"learning_rate": 0.1, "gradient_clip_norm": 0.5, "schedule": "cosine", "ema_decay": 0.9, **training}
    setting = linear_setting(features, targets, **asked)
    setting.precision.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10**6)
    return setting


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_that_overflows_is_as_if_it_had_not_been(optimizer: str) -> None:
    """Clipping looks at gradients without the scale; weights, rates and average are those of the other steps alone."""
    plain, large = scaled(1.0, optimizer=optimizer), scaled(2.0**127, optimizer=optimizer)
    expected, learner = Learner(plain, reporter(9)), Learner(large, reporter(9))
    for epoch in range(1, 10):
        learner.train_epoch(epoch)
    skipped = 9 - learner.step
    assert 0 < skipped < 9
    assert large.precision.scaler.get_scale() == 2.0 ** (127 - skipped)
    for epoch in range(1, learner.step + 1):
        expected.train_epoch(epoch)

    assert learner.optimizer.param_groups[0]["lr"] == expected.optimizer.param_groups[0]["lr"]
    torch.testing.assert_close(large.subject.head.weight, plain.subject.head.weight)
    for mine, other in zip(learner.result.parameters(), expected.result.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_loss_scale_is_resumed(tmp_path: Path) -> None:
    def fresh(scale: float) -> Setting:
        setting = scaled(scale, epochs=3)
        dealt = {**setting.dealt, "validation": setting.dealt["train"]}
        return replace(setting, order=replace(setting.order, scratch=tmp_path), dealt=dealt)

    with pytest.raises(Stopped):
        fit(fresh(1024.0), Reporter(RecordingSink(stop_after=1), 3))
    resumed = fresh(2.0)
    fitted = fit(resumed, reporter(3))
    assert [record.epoch for record in fitted.curve] == [1, 2, 3]
    assert resumed.precision.scaler.get_scale() == 1024.0
