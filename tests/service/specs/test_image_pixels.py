"""Decoding against independent truths: pixels turned by hand, levels divided by hand, twins in other encodings."""

import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.specs.images import decode_image
from tests.corpora.pictures import (
    chunk,
    encode,
    grey16,
    header,
    picture,
    png,
    profile,
    raw_png,
    rgb16,
    swapped_primaries,
    with_chunks,
    with_orientation,
)

Pixels = NDArray[np.int16]
TRUTH = np.asarray(picture(), np.int16)

# by hand: what EXIF 2.32, tag 0x0112, says about the stored row 0 and column 0
HAND_TURNED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1, :],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored[::-1, :].transpose(1, 0, 2),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: stored[:, ::-1].transpose(1, 0, 2),
}


def decoded(content: bytes) -> Pixels:
    image = decode_image(content)
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image, np.int16)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", HAND_TURNED)
def test_s28_orientation(orientation: int, kind: str) -> None:
    expected = HAND_TURNED[orientation](TRUTH)
    found = decoded(with_orientation(picture(), orientation, kind))
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < (0.01 if kind != "JPEG" else 3)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\x00",
        b"MM\x00*\xff\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00\xff\xff",
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x09\x00\x00\x00",
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x02\x00\x01\x00\x00\x00\x06\x00\x00\x00",
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\xff\xff\xff\xff\x06\x00\x00\x00",
        b"random rubbish",
    ],
)
def test_s28_broken_exif_turns_nothing(exif: bytes) -> None:
    assert (decoded(with_chunks(png(), chunk(b"eXIf", exif))) == TRUTH).all()


def test_s28_exif_full_of_pointers_costs_nothing() -> None:
    """65,535 entries that each claim 8 MiB of the same bytes: Pillow's own reader would copy 512 GiB."""
    entries = b"".join(struct.pack("<HHLL", tag, 7, 8 * 2**20, 8) for tag in range(1, 65536) if tag != 0x0112)
    exif = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 65534) + entries + bytes(8 * 2**20)
    content = with_chunks(png(), chunk(b"eXIf", exif))
    tracemalloc.start()
    assert (decoded(content) == TRUTH).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(exif)


def test_s28_16_bits_of_grey() -> None:
    levels = np.linspace(0, 65535, 400, dtype=np.int64).reshape(10, 40)
    expected = np.round(levels / 257).astype(np.int16)
    assert (decoded(grey16(levels.tolist())) == expected[:, :, None]).all()


def test_s28_16_bits_of_colour() -> None:
    levels = np.linspace(0, 65535, 300, dtype=np.int64).reshape(10, 10, 3)
    pixels = [[(int(r), int(g), int(b)) for r, g, b in row] for row in levels]
    assert np.abs(decoded(rgb16(pixels)) - levels / 257).max() <= 1


def test_s28_16_bits_with_one_clear_level() -> None:
    levels = [[40000, 40001, 0, 65535]]
    found = decoded(grey16(levels, chunk(b"tRNS", struct.pack(">H", 40000))))
    assert found[0, :, 0].tolist() == [255, 156, 0, 255]


def test_s28_16_bits_with_one_clear_colour() -> None:
    pixels = [[(40000, 20000, 10000), (0, 0, 0), (65535, 0, 65535)]]
    found = decoded(rgb16(pixels, chunk(b"tRNS", struct.pack(">3H", *pixels[0][0]))))
    assert found[0].tolist() == [[255, 255, 255], [0, 0, 0], [255, 0, 255]]


@pytest.mark.parametrize(
    ("depth", "row", "expected"),
    [(1, b"\x50", [0, 255, 0, 255]), (2, b"\x1b", [0, 85, 170, 255]), (4, b"\x05\xaf", [0, 85, 170, 255])],
)
def test_s28_few_bits_of_grey(depth: int, row: bytes, expected: list[int]) -> None:
    assert decoded(raw_png(header(4, 1, depth=depth, colour=0), [row]))[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("depth", "row", "clear"), [(1, b"\x50", 0), (2, b"\x1b", 2), (4, b"\x05\xaf", 10)])
def test_s28_few_bits_with_one_clear_level(depth: int, row: bytes, clear: int) -> None:
    content = raw_png(header(4, 1, depth=depth, colour=0), [row], chunk(b"tRNS", struct.pack(">H", clear)))
    opaque = raw_png(header(4, 1, depth=depth, colour=0), [row])
    expected = decoded(opaque)[0, :, 0]
    expected[expected == clear * 255 // (2**depth - 1)] = 255
    assert decoded(content)[0, :, 0].tolist() == expected.tolist()


def test_s28_alpha_lies_over_white() -> None:
    alpha = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))
    layered = picture().copy()
    layered.putalpha(Image.fromarray(alpha))
    share = alpha[:, :, None] / 255
    expected = TRUTH * share + 255 * (1 - share)
    assert np.abs(decoded(encode(layered)) - expected).max() <= 1
    assert np.abs(decoded(encode(layered, "WEBP", lossless=True, exact=True)) - expected).max() <= 1


def test_s28_transparent_red_is_white() -> None:
    assert (decoded(encode(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))) == 255).all()


def test_s28_grey_with_alpha() -> None:
    image = Image.new("LA", (1, 3))
    for row, value in enumerate([(100, 0), (100, 128), (100, 255)]):
        image.putpixel((0, row), value)
    assert np.abs(decoded(encode(image))[:, 0, 0] - [255, 177, 100]).max() <= 1


@pytest.mark.parametrize("alphas", [b"\xff\x00\xff", b"\xff\x80\x00"])
def test_s28_palette_with_transparency(alphas: bytes) -> None:
    palette = bytes([10, 20, 30, 200, 0, 0, 0, 0, 200])
    content = raw_png(header(3, 1, colour=3), [b"\x00\x01\x02"], chunk(b"PLTE", palette), chunk(b"tRNS", alphas))
    colours = np.frombuffer(palette, np.uint8).reshape(3, 3).astype(float)
    share = np.frombuffer(alphas, np.uint8)[:, None] / 255
    assert np.abs(decoded(content)[0] - (colours * share + 255 * (1 - share))).max() <= 1


def test_s28_palette_without_transparency() -> None:
    quantised = picture().quantize(16)
    assert (decoded(encode(quantised)) == np.asarray(quantised.convert("RGB"), np.int16)).all()


def test_s28_cmyk_twin() -> None:
    """Pillow, like Adobe, stores CMYK inverted and says so in an APP14 segment."""
    cyan, magenta, yellow = (255 - TRUTH.astype(np.uint8)).transpose(2, 0, 1)
    bands = [*map(Image.fromarray, (cyan, magenta, yellow)), Image.new("L", (48, 32), 0)]
    content = encode(Image.merge("CMYK", bands), "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in content
    assert np.abs(decoded(content) - TRUTH).mean() < 3


def test_s28_cmyk_black_plate() -> None:
    content = encode(Image.new("CMYK", (8, 8), (0, 0, 0, 100)), "JPEG", quality=100)
    assert np.abs(decoded(content) - 155).max() <= 2


def test_s28_grey_jpeg() -> None:
    expected = TRUTH @ [0.299, 0.587, 0.114]
    assert np.abs(decoded(encode(picture().convert("L"), "JPEG", quality=95)) - expected[:, :, None]).mean() < 3


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 3), ("JPEG", 8), ("WEBP", 8)])
def test_s28_colour_profile_is_applied(kind: str, tolerance: int) -> None:
    content = encode(Image.new("RGB", (16, 16), (220, 60, 20)), kind, icc_profile=swapped_primaries(), quality=100)
    assert np.abs(decoded(content) - [20, 60, 220]).max() <= tolerance


@pytest.mark.parametrize("icc", [profile(), profile("LAB"), b"no profile", bytes(200), profile()[:300]])
def test_s28_needless_or_broken_profile_changes_nothing(icc: bytes) -> None:
    assert (decoded(encode(picture(), icc_profile=icc)) == TRUTH).all()


def test_s28_profile_with_alpha() -> None:
    content = encode(Image.new("RGBA", (4, 4), (220, 60, 20, 128)), icc_profile=swapped_primaries())
    assert np.abs(decoded(content) - [137, 157, 237]).max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (48, 32), (17, 9)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_what_pillow_writes_is_read(mode: str, size: tuple[int, int]) -> None:
    image = picture(size=size).convert("L").convert(mode) if mode == "I;16" else picture(size=size).convert(mode)
    assert decode_image(encode(image)).size == size


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (33, 17)])
def test_interlaced_png(size: tuple[int, int]) -> None:
    """Adam7, packed by hand: each pass takes every so many columns and rows."""
    width, height = size
    truth = np.asarray(picture(size=size))
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [row.tobytes() for x, y, dx, dy in passes for row in truth[y::dy, x::dx] if row.size]
    head = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 1))
    assert (decoded(raw_png(head, rows)) == truth).all()
