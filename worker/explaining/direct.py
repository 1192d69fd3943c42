"""Convolutions that go straight to oneDNN, for forwards that run on one CPU thread each.

torch sends a pointwise convolution of a small batch on one thread to a generic matrix product, which takes about twice
as long (torch 2.14, `use_mkldnn`), and pads "same" convolutions by writing the whole input anew. Measured on
`tf_efficientnet_lite0` with folded batch norms, 224 px, two threads side by side: 5.0 instead of 3.4 ms an image
with the first, 5.6 instead of 5.0 with the second.
"""

from typing import cast

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn

Size = tuple[int, int]


class DirectConv2d(nn.Conv2d):
    """A convolution by oneDNN, whatever the batch and the threads. Inference only."""

    def forward(self, input: Tensor) -> Tensor:
        """[n, c, h, w] float32 on a CPU."""
        padding = self.padding
        assert not isinstance(padding, str)
        answer: Tensor = torch.mkldnn_convolution(
            input, self.weight, self.bias, padding, self.stride, self.dilation, self.groups
        )
        return answer


def can_be_direct(convolution: nn.Conv2d) -> bool:
    """Whether `direct` knows how to do what this one does."""
    plain = type(convolution) is nn.Conv2d and not isinstance(convolution.padding, str)
    same = type(convolution) is Conv2dSame and convolution.dilation == (1, 1)
    weight = convolution.weight
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and (plain or same)
        and convolution.padding_mode == "zeros"
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
    )


def direct(convolution: nn.Conv2d, size: Size) -> DirectConv2d:
    """The same convolution for inputs of `size` (height, width); weights are shared where they need no padding."""
    weight = convolution.weight
    kernel, padding = cast(Size, convolution.kernel_size), cast(Size, convolution.padding)
    stride, dilation = cast(Size, convolution.stride), cast(Size, convolution.dilation)
    if isinstance(convolution, Conv2dSame):
        zeros = [get_same_padding(size[axis], kernel[axis], stride[axis], 1) for axis in (0, 1)]
        # The odd one of the zeros goes behind; where they are equal on both sides, the kernel has it in front instead.
        extra = [count % 2 for count in zeros]
        padding = ((zeros[0] + 1) // 2, (zeros[1] + 1) // 2)
        weight = nn.functional.pad(weight, (extra[1], 0, extra[0], 0))
        kernel = (kernel[0] + extra[0], kernel[1] + extra[1])
        weight = weight.contiguous(memory_format=torch.channels_last)
    twin = DirectConv2d(
        convolution.in_channels,
        convolution.out_channels,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=convolution.groups,
        bias=convolution.bias is not None,
        device="meta",  # no weights of its own
    )
    twin._parameters["weight"] = nn.Parameter(weight, requires_grad=False)
    twin._parameters["bias"] = convolution.bias  # type: ignore[assignment]
    return twin
