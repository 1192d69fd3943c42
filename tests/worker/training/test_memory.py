"""Batches that do not fit the memory go through in parts, and train as the whole batch does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from service.errors import ResourceExhausted, Stopped
from tests.worker.training.orders import RecordingSink, order, run, spec
from tests.worker.training.room import room_for
from tests.worker.training.table_orders import table_order
from tests.worker.training.text_orders import text_order, text_spec, without_dropout
from tests.worker.training.toys import linear_setting, reporter
from worker.data.device_memory import is_out_of_memory
from worker.training.learner import Learner
from worker.training.memory import peak_memory_bytes
from worker.training.order import TrialOrder
from worker.training.trial import run_trial

MIXED = {"mixup_alpha": 0.4}
WEIGHTED = {"class_weights": "balanced", "label_smoothing": 0.1}
MLP = {"kind": "mlp", "hidden_sizes": [8], "dropout": 0.0, "batch_norm": False}


def image_order(folder: Path, scratch: str, **more: Any) -> TrialOrder:
    training = {"epochs": 2, "batch_size": 12, **more.pop("training", {})}
    job = spec(backbone={"name": "simple_nn", "dropout": 0.0}, training=training, **more)
    return order(folder, job, scratch=scratch)


def text(folder: Path, scratch: str) -> TrialOrder:
    made = text_order(
        folder, text_spec(backbone={"dropout": 0.0}, training={"epochs": 2, "batch_size": 12}), scratch=scratch
    )
    without_dropout(folder / made.spec.network.name)
    return made


def table(folder: Path, scratch: str) -> TrialOrder:
    return table_order(folder, MLP, rows=80, scratch=scratch, training={"epochs": 2, "batch_size": 12})


SUBJECTS: dict[str, Callable[[Path, str], TrialOrder]] = {
    "images": image_order,
    "weighted": lambda folder, scratch: image_order(folder, scratch, training=WEIGHTED),
    "mixed": lambda folder, scratch: image_order(folder, scratch, training=WEIGHTED, augmentation=MIXED),
    "texts": text,
    "tables": table,
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_parts_add_up_to_the_batch(tmp_path: Path, name: str) -> None:
    """No dropout and no batch norm here, which would see the parts."""
    made = SUBJECTS[name](tmp_path, "whole")
    whole, whole_sink = run(made)
    with room_for(4) as tried:
        parts, sink = run(SUBJECTS[name](tmp_path, "parts"))

    assert {12, 6, 3} <= set(tried)
    assert max(tried[tried.index(3) :]) <= 4
    for mine, other in zip(sink.epochs, whole_sink.epochs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=1e-5)
    assert (whole.micro_batch_size, parts.micro_batch_size) == (12, 3)
    assert whole.trained_with == parts.trained_with
    told = [message for type, message in sink.events if "samples at once" in message]
    assert told == [
        "Memory does not suffice for 12 samples at once: passes of 6 add up.",
        "Memory does not suffice for 6 samples at once: passes of 3 add up.",
    ]


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_one_step_of_three_parts_is_the_gradient_of_the_whole(class_weights: str) -> None:
    """By hand, of a softmax regression: Σ w (p - y) x / Σ w over all 11 samples."""
    generator = torch.Generator().manual_seed(0)
    features, targets = torch.randn(11, 4, generator=generator), torch.tensor([0] * 6 + [1] * 3 + [2] * 2)
    setting = linear_setting(features, targets, learning_rate=1.0, class_weights=class_weights)
    head = setting.subject.head
    before = head.weight.detach().clone()
    weights = torch.ones(11) if class_weights == "none" else 11 / (3 * torch.tensor([6.0] * 6 + [3.0] * 3 + [2.0] * 2))
    errors = head(features).detach().softmax(1) - one_hot(targets, 3)
    expected = (weights[:, None] * errors).T @ features / weights.sum()

    learner = Learner(setting, reporter())
    learner.passes.limit(4)
    learner.train_epoch(1)
    torch.testing.assert_close(before - head.weight.detach(), expected)


def test_a_resumed_trial_does_not_try_again_what_did_not_fit(tmp_path: Path) -> None:
    made = image_order(tmp_path, "scratch")
    with room_for(4), pytest.raises(Stopped):
        run_trial(made, RecordingSink(stop_after=1))
    with room_for(4) as tried:
        resumed, sink = run(made)
    assert max(tried) == 3
    assert resumed.micro_batch_size == 3
    assert not [message for _, message in sink.events if "samples at once" in message]


def test_where_not_even_one_sample_fits_the_trial_fails(tmp_path: Path) -> None:
    with room_for(0) as tried, pytest.raises(ResourceExhausted, match=r"passes of 1 sample"):
        run_trial(image_order(tmp_path, "scratch"), RecordingSink())
    assert tried == [12, 6, 3, 1]


def test_batch_norm_keeps_two_samples(tmp_path: Path) -> None:
    """Of 5 samples, 2 passes of 3 and 2; a single one has no variance."""
    rows = {"classes": 2, "rows": 80, "training": {"epochs": 1, "batch_size": 5}}
    estimator = MLP | {"batch_norm": True}
    with room_for(3) as tried:
        outcome, _ = run(table_order(tmp_path, estimator, scratch="three", **rows))
    assert set(tried) == {5, 3, 2}
    assert outcome.micro_batch_size == 2
    with room_for(2), pytest.raises(ResourceExhausted, match=r"passes of 3 sample"):
        run(table_order(tmp_path, estimator, scratch="two", **rows))


def test_evaluation_halves_too(tmp_path: Path) -> None:
    whole, _ = run(image_order(tmp_path, "whole"))
    with room_for(5, training=False) as tried:
        parts, _ = run(image_order(tmp_path, "parts"))
    assert max(tried) > 5
    assert parts.metrics["test"]["loss"] == pytest.approx(whole.metrics["test"]["loss"], rel=1e-6)  # type: ignore[index]
    with room_for(0, training=False), pytest.raises(ResourceExhausted, match="one sample"):
        run(image_order(tmp_path, "none"))


@pytest.mark.parametrize(
    "text",
    [
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: 12 bytes",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "GET was unable to find an engine to execute this computation",
    ],
)
def test_a_lack_of_memory_is_known_by_any_librarys_words(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_peak_is_at_least_what_was_touched() -> None:
    before = peak_memory_bytes(torch.device("cpu"))
    size = 2 * before
    kept = torch.ones(size, dtype=torch.uint8)
    assert peak_memory_bytes(torch.device("cpu")) >= size
    assert int(kept[-1]) == 1


def test_trying_batch_sizes_does_not_hide_an_earlier_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 5)
    device = torch.device("cuda")
    assert [peak_memory_bytes(device, earlier) for earlier in (0, 4, 6)] == [5, 5, 6]
