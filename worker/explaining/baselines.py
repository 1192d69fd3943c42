"""What a hidden region shows instead of the image."""

from typing import Any, Literal

import torch
from torch import Tensor

from service.specs.backbones import Backbone

Baseline = Literal["blur", "mean", "zero"]
BLUR_SIGMA = 1 / 4
"""Standard deviation of the Gaussian, as a share of the image's side. At an eighth a small convolutional network still
saw the class of a planted patch in the blur (base value 0.68 of 0.33 by chance); at a quarter hardly (0.39)."""


def baseline_images(kind: Baseline, batch: Tensor, entry: Backbone) -> Tensor:
    """The images with everything hidden.

    - blur: the image under a Gaussian of a quarter of its side, weights renormalised at the borders.
    - mean: the image's own mean colour everywhere.
    - zero: black.

    Args:
        kind: one of the above.
        batch: [n, 3, s, s], normalised.
        entry: says how the pixels were normalised.

    Returns:
        [n, 3, s, s], in the same memory format.
    """
    if kind == "blur":
        return blurred(batch, BLUR_SIGMA * batch.shape[-1])
    if kind == "mean":
        return batch.mean(dim=(2, 3), keepdim=True).expand_as(batch).clone(memory_format=torch.preserve_format)
    black = torch.tensor([-mean / std for mean, std in zip(entry.mean, entry.std, strict=True)])
    return torch.zeros_like(batch) + black.to(batch).view(1, 3, 1, 1)


def describe_baseline(kind: Baseline, image_size: int) -> dict[str, Any]:
    """The baseline as an explanation reports it."""
    if kind == "blur":
        return {"kind": "blur", "kernel": "gaussian", "sigma_pixels": BLUR_SIGMA * image_size}
    return {"kind": kind, "colour": "mean of the image" if kind == "mean" else "black"}


def blurred(batch: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of [n, 3, s, s], as two matrix products: wide kernels cost no more than narrow ones."""
    kernel = _kernel(batch.shape[-1], sigma).to(batch)
    rows = _kernel(batch.shape[-2], sigma).to(batch)
    soft = rows @ batch @ kernel.T
    return torch.empty_like(batch).copy_(soft)


def _kernel(side: int, sigma: float) -> Tensor:
    """[side, side]: each row a Gaussian around its own pixel that sums to one."""
    position = torch.arange(side, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((position[:, None] - position[None, :]) / sigma) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
