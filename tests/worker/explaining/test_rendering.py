"""Pictures: the right size, the right place, the right colours."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.explaining.rendering import heatmap_png, overlay_png


def pixels(png: bytes) -> NDArray[np.int64]:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert picture.mode in ("RGB", "P")
    return np.asarray(picture.convert("RGB")).astype(np.int64)


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (128, 128, 128))


@pytest.mark.parametrize("size", [(143, 97), (97, 143), (224, 224), (1, 1), (3, 500)])
@pytest.mark.parametrize("cells", [(7, 7), (1, 1), (14, 9)])
def test_size_is_that_of_the_input(size: tuple[int, int], cells: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(cells)
    assert pixels(heatmap_png(values, size=size)).shape == (size[1], size[0], 3)
    assert pixels(overlay_png(grey(*size), values)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (6, 7), (2, 0)])
def test_peak_lies_at_the_centre_of_its_cell(row: int, column: int) -> None:
    values = np.zeros((7, 8))
    values[row, column] = 1
    brightness = pixels(heatmap_png(values, size=(160, 70))).sum(2)
    ys, xs = np.nonzero(brightness >= brightness.max() - 3)
    inside = 0 < row < 6 and 0 < column < 7
    assert abs(ys.mean() - (10 * row + 4.5)) <= (0.5 if inside else 5)
    assert abs(xs.mean() - (20 * column + 9.5)) <= (0.5 if inside else 10)


def test_signed_maps_are_red_for_and_blue_against_around_white() -> None:
    values = np.zeros((3, 3))
    values[0, 0], values[2, 2] = 1, -0.5
    drawn = pixels(heatmap_png(values, size=(90, 90)))
    red, white, blue = drawn[5, 5], drawn[5, 85], drawn[80, 80]
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60
    assert white.min() > 235
    over = pixels(overlay_png(grey(90, 90), values))
    assert over[5, 5, 0] > over[5, 5, 2] + 60
    assert over[80, 80, 2] > over[80, 80, 0] + 40
    assert np.abs(over[5, 85] - 128).max() <= 3


def test_unsigned_maps_run_from_dark_to_bright() -> None:
    drawn = pixels(heatmap_png(np.linspace(0, 5, 8)[None].repeat(8, 0), size=(256, 64)))
    brightness = drawn[32].sum(1)
    assert (np.diff(brightness) >= -12).all()
    assert brightness[-1] > 600 > 60 > brightness[0]


def test_scale_does_not_matter() -> None:
    values = np.random.default_rng(0).random((7, 7))
    assert heatmap_png(values, size=(50, 50)) == heatmap_png(values * 1e-12, size=(50, 50))


def test_overlay_leaves_the_picture_readable() -> None:
    """Contrast of the picture survives, under the strongest attribution too."""
    checks = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((10, 10))) * 255
    image = Image.fromarray(checks.astype(np.uint8)).convert("RGB")
    values = np.zeros((4, 4))
    values[:2] = 1
    over = pixels(overlay_png(image, values)).mean(2)
    assert over[62:68].std() > 100
    assert over[12:18].std() > 25


@pytest.mark.parametrize("values", [np.zeros((7, 7)), np.full((7, 7), np.nan), np.full((1, 1), -1.0)])
def test_degenerate_maps_are_drawn_too(values: NDArray[np.float64]) -> None:
    assert pixels(heatmap_png(values, size=(20, 10))).shape == (10, 20, 3)
    assert pixels(overlay_png(grey(20, 10), values)).shape == (10, 20, 3)
