"""Where the explain worker computes, and how exactly."""

import logging

import pytest
import torch

from worker.tasks.serving import answer_in_float32, usable_device

CPU = torch.device("cpu")


def test_a_gpu_that_torch_cannot_use_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert usable_device(False) == CPU
        assert usable_device(True, "cpu") == CPU
        assert caplog.text == ""
        assert usable_device(True, "cuda:99") == CPU
    assert "the GPU is left out, torch cannot use it: " in caplog.text


def test_explanations_are_computed_without_tf32() -> None:
    assert torch.backends.cudnn.allow_tf32, "torch's default"
    try:
        answer_in_float32()
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = True
