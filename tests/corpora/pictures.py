"""Harmless pictures, PNG files by hand, and twins of one picture in several encodings."""

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image, ImageCms, ImageDraw

EXIF_ORIENTATION = 0x0112


def picture(seed: int = 0, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A small picture that no turn or flip maps onto itself; another one for each seed."""
    image = Image.new("RGB", size, (200 - seed * 7 % 150, 40 + seed * 13 % 200, 90 + seed // 7 % 120))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0] // 3, size[1] // 4), fill=(250, seed % 256, 10))
    draw.rectangle((size[0] // 2, 0, size[0] * 3 // 4, size[1] // 2), fill=(5, 60, 240))
    draw.line((0, size[1] - 1, size[0] // 4, size[1] // 2), fill=(255, 255, 255), width=2)
    return image


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(seed: int = 0, size: tuple[int, int] = (48, 32)) -> bytes:
    return encode(picture(seed, size))


# --- PNG by hand


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def header(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))


def raw_png(head: bytes, rows: Sequence[bytes], *between: bytes, after: bytes = b"") -> bytes:
    """A PNG from its header chunk, unfiltered rows and the chunks before and after the pixels."""
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + chunk(b"IDAT", pixels) + after + chunk(b"IEND", b"")


def with_chunks(content: bytes, *chunks: bytes) -> bytes:
    """The chunks right behind the header of a PNG."""
    return content[:33] + b"".join(chunks) + content[33:]


# --- twins of one picture


def with_orientation(image: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    return encode(image, kind, exif=exif, **({} if kind == "PNG" else options))


def grey16(levels: Sequence[Sequence[int]], *between: bytes) -> bytes:
    rows = [struct.pack(f">{len(row)}H", *row) for row in levels]
    return raw_png(header(len(levels[0]), len(levels), depth=16, colour=0), rows, *between)


def rgb16(pixels: Sequence[Sequence[tuple[int, int, int]]], *between: bytes) -> bytes:
    rows = [b"".join(struct.pack(">3H", *pixel) for pixel in row) for row in pixels]
    return raw_png(header(len(pixels[0]), len(pixels), depth=16, colour=2), rows, *between)


def profile(name: str = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()  # type: ignore[arg-type]


def swapped_primaries() -> bytes:
    """An RGB profile whose red and blue are those of sRGB, swapped: applying it is easy to see."""
    content = profile()
    count = int.from_bytes(content[128:132], "big")
    tags = {content[at : at + 4]: at + 4 for at in range(132, 132 + 12 * count, 12)}
    red, blue = (content[tags[name] : tags[name] + 8] for name in (b"rXYZ", b"bXYZ"))
    swapped = bytearray(content)
    for name, place in ((b"rXYZ", blue), (b"bXYZ", red)):
        swapped[tags[name] : tags[name] + 8] = place
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))
