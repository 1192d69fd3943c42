"""Pictures of attributions, in the pixels of the input as displayed.

Maps without negative values are drawn from dark to bright; signed maps in red where they speak for the class, blue
where they speak against it, around a white (or clear) zero. Each picture is scaled to its own largest value.
"""

import io
from functools import cache

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.explaining.results import FloatArray

SEQUENTIAL = "inferno"
DIVERGING = "RdBu_r"
FOR = (255, 20, 80)
AGAINST = (0, 125, 250)
MOST_COVER = 0.75
KEPT_COLOUR = 0.35
_WHOLE = 255
_CENTRE = 127.5

Pixels = NDArray[np.uint8]


def heatmap_png(attributions: FloatArray, *, size: tuple[int, int]) -> bytes:
    """The attributions alone, as a PNG of 256 colours.

    Args:
        attributions: [h, w], in the input's orientation.
        size: width and height of the picture in pixels: those of the displayed input.
    """
    levels, signed = _levels(attributions, size)
    picture = Image.fromarray(levels)
    picture.putpalette(_colours(signed).tobytes())
    return _png(picture)


def overlay_png(image: Image.Image, attributions: FloatArray) -> bytes:
    """The attributions laid over the input, as an RGB PNG in the input's size.

    The stronger the attribution, the more colour covers the picture; what does not matter stays visible, softened.

    Args:
        image: RGB, as displayed.
        attributions: [h, w], in the input's orientation.
    """
    levels, signed = _levels(attributions, image.size)
    ink = Image.fromarray(_inks(signed)[levels])
    cover = Image.fromarray(_opacity(signed)[levels])
    ground = Image.blend(image.convert("L").convert("RGB"), image, KEPT_COLOUR)
    return _png(Image.composite(ink, ground, cover))


def _levels(attributions: FloatArray, size: tuple[int, int]) -> tuple[Pixels, bool]:
    """Attributions at `size` as levels 0..255, and whether 127.5 stands for zero."""
    finite = np.nan_to_num(attributions, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    largest = float(np.abs(finite).max(initial=0.0))
    signed = bool(finite.min(initial=0.0) < 0)
    shares = finite / largest if largest > 0 else finite
    large = np.asarray(Image.fromarray(shares).resize(size, Image.Resampling.BICUBIC))
    levels = large * _CENTRE + _CENTRE if signed else large * _WHOLE
    return np.clip(np.rint(levels), 0, _WHOLE).astype(np.uint8), signed


@cache
def _colours(signed: bool) -> Pixels:
    """[256, 3]: the colour of each level where nothing lies beneath."""
    return _sampled(DIVERGING if signed else SEQUENTIAL, np.linspace(0, 1, _WHOLE + 1))


@cache
def _inks(signed: bool) -> Pixels:
    """[256, 3]: the colour of each level over a picture; weak levels are clear rather than white or black."""
    level = np.linspace(0, 1, _WHOLE + 1)
    if not signed:
        return _sampled(SEQUENTIAL, 0.25 + 0.75 * level)
    return np.where(level[:, None] > 0.5, np.array(FOR, np.uint8), np.array(AGAINST, np.uint8))


@cache
def _opacity(signed: bool) -> Pixels:
    """[256]: how far each level covers the picture."""
    level = np.linspace(0, 1, _WHOLE + 1)
    strength = np.abs(2 * level - 1) if signed else level
    return np.rint(_WHOLE * MOST_COVER * strength**0.9).astype(np.uint8)


def _sampled(name: str, positions: FloatArray) -> Pixels:
    sampled: Pixels = np.rint(matplotlib.colormaps[name](positions)[:, :3] * _WHOLE).astype(np.uint8)
    return sampled


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
