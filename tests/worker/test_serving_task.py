"""Where the explain worker computes."""

import logging

import pytest
import torch

from worker.tasks.serving import usable_device

CPU = torch.device("cpu")


def test_a_gpu_that_torch_cannot_use_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert usable_device(False) == CPU
        assert usable_device(True, "cpu") == CPU
        assert caplog.text == ""
        assert usable_device(True, "cuda:99") == CPU
    assert "the GPU is left out, torch cannot use it: " in caplog.text
