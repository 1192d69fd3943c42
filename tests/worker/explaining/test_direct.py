"""Convolutions that go straight to oneDNN answer what the originals answer."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from worker.explaining.direct import can_be_direct, direct

PLAIN = {
    "pointwise": nn.Conv2d(6, 8, 1),
    "padded": nn.Conv2d(6, 8, 3, padding=1, bias=False),
    "depthwise": nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6),
    "dilated": nn.Conv2d(6, 8, 3, padding=2, dilation=2),
}
SAME = {f"same {kernel}/{stride}": Conv2dSame(6, 8, kernel, stride) for kernel in (2, 3, 5) for stride in (1, 2, 3)}


@pytest.mark.parametrize("size", [(12, 12), (13, 9), (7, 10)])
@pytest.mark.parametrize("convolution", (PLAIN | SAME).values(), ids=(PLAIN | SAME).keys())
def test_the_same_answer(convolution: nn.Conv2d, size: tuple[int, int]) -> None:
    batch = torch.randn(3, 6, *size, generator=torch.Generator().manual_seed(0))
    batch = batch.to(memory_format=torch.channels_last)
    assert can_be_direct(convolution)
    with torch.inference_mode():
        torch.testing.assert_close(direct(convolution, size)(batch), convolution(batch))


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 3, dtype=torch.bfloat16),
        Conv2dSame(3, 4, 3, dilation=2),
        nn.LazyConv2d(4, 3),
    ],
)
def test_others_stay_as_they_are(convolution: nn.Conv2d) -> None:
    assert not can_be_direct(convolution)
