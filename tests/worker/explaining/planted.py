"""Images whose class is a coloured patch at a random place, so that the right map is known."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

COLOURS = ((210, 40, 40), (40, 190, 60), (220, 200, 40))
DISTRACTOR = (40, 60, 210)
CLASSES = ["red", "green", "yellow"]


def ground(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Soft clouds of muted colours under noise: the mean colour says nothing about the class."""
    coarse = rng.integers(60, 190, (8, 8, 3)).astype(np.uint8)
    clouds = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 12, (height, width, 3))
    return np.clip(np.asarray(clouds, dtype=np.float64) + noise, 0, 255).astype(np.uint8)


def place(pixels: NDArray[np.uint8], rng: np.random.Generator, colour: tuple[int, int, int], side: int, *,
          within: tuple[int, int] | None = None) -> tuple[int, int]:  # fmt: skip
    """Puts a patch at a random place (its left edge within the given columns); returns its top and left."""
    height, width = pixels.shape[:2]
    low, high = within or (0, width)
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(low, high - side + 1))
    patch = np.array(colour) + rng.normal(0, 10, (side, side, 3))
    pixels[top : top + side, left : left + side] = np.clip(patch, 0, 255)
    return top, left


def planted(
    index: int, label: int, *, size: int = 64, side: int = 12, distract: bool = True
) -> tuple[Image.Image, tuple[int, int]]:
    """One image and where its patch is (top, left)."""
    rng = np.random.default_rng([index, label])
    pixels = ground(rng, size, size)
    if distract:
        place(pixels, rng, DISTRACTOR, side)
    spot = place(pixels, rng, COLOURS[label], side)
    return Image.fromarray(pixels), spot


def train(network: nn.Module, batches: torch.Tensor, labels: torch.Tensor, *, epochs: int, rate: float) -> float:
    """Fits the network to normalised images [n, 3, s, s] and leaves it frozen in eval mode; returns its accuracy."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=rate)
    steps = epochs * (len(batches) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(batches), generator=generator).split(32):
            if len(chosen) < 32:
                continue
            loss = nn.functional.cross_entropy(network(batches[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)
    with torch.inference_mode():
        return float((network(batches[:200]).argmax(1) == labels[:200]).float().mean())
