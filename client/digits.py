"""The demo's data: 1,797 handwritten digits, 8x8 pixels in 17 greys, that scikit-learn carries with it."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCALE = 4
VIEWING_SIDE = 320
WHITE = 16


@dataclass(frozen=True)
class HeldBack:
    """A digit that is not uploaded for training: as the others are drawn, and large enough to look at."""

    label: str
    png: bytes
    large_png: bytes


def write_digits(path: Path) -> tuple[int, list[HeldBack]]:
    """Writes the dataset as `<digit>/<number>.png`, 32x32, but for the last one of each digit.

    Returns:
        How many were written, and the ten held back.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    labels = [str(target) for target in data.target]
    last = {label: index for index, label in enumerate(labels)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index, (image, label) in enumerate(zip(data.images, labels, strict=True)):
            if last[label] != index:
                archive.writestr(f"{label}/{index:05d}.png", _png(image))
    held_back = [
        HeldBack(label, _png(data.images[index]), _png(data.images[index], side=VIEWING_SIDE))
        for label, index in sorted(last.items())
    ]
    return len(labels) - len(held_back), held_back


def _png(image: Any, *, side: int | None = None) -> bytes:
    """32x32, or enlarged from that to `side` pixels; smoothly, as the network sees enlarged pictures."""
    import numpy as np
    from PIL import Image

    grey = (np.asarray(image) / WHITE * 255).astype(np.uint8)
    picture = Image.fromarray(grey.repeat(SCALE, 0).repeat(SCALE, 1))
    if side is not None:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
