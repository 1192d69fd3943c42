"""Images → the numbers that a network takes. Training and serving both go through here, so they see the same."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from service.specs.backbones import CATALOGUE, Interpolation

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class PixelFormat:
    """What a network's input looks like.

    Attributes:
        size: pixels a side; images are stretched to this square, antialiased.
        mean, std: per channel, of pixels in 0..1.
    """

    size: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels_last: bool = False

    @classmethod
    def of(cls, backbone: str, size: int) -> "PixelFormat":
        """As the weights of catalogue entry `backbone` were trained, at `size` pixels."""
        entry = CATALOGUE[backbone]
        return cls(size, entry.interpolation, entry.mean, entry.std, entry.channels_last)

    def to_pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """An RGB image of any size → [3, s, s]."""
        square = image.resize((self.size, self.size), _RESAMPLING[self.interpolation])
        return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))

    def normalise(self, pixels: Tensor) -> Tensor:
        """[n, 3, s, s] uint8 → float32 of about zero mean and unit variance, on the same device."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        mean, std = _on(pixels.device, self.mean), _on(pixels.device, self.std)
        values = pixels.to(torch.float32, memory_format=layout, copy=True)
        return values.sub_(mean * 255).div_(std * 255)


@lru_cache
def _on(device: torch.device, channels: tuple[float, ...]) -> Tensor:
    """[c, 1, 1], copied once: on a GPU each copy would wait until all work so far is done."""
    with torch.inference_mode(False):
        return torch.tensor(channels, device=device).view(-1, 1, 1)
