"""Images by rule: what `s24_…` to `s29_…` build is hostile and comes with the slug it must meet.

The other functions build harmless pictures, and twins of one picture in several encodings.
"""

import io
import struct
import zlib
from collections.abc import Callable, Sequence

from PIL import Image, ImageCms, ImageDraw

Case = tuple[bytes, str]
EXIF_ORIENTATION = 0x0112


def cases(rule: str) -> dict[str, Callable[[], Case]]:
    """All builders of one rule, such as `s26`, by name."""
    return {name: builder for name, builder in globals().items() if name.startswith(f"{rule}_")}


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
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
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
    content = bytearray(profile())
    tags = {content[at : at + 4]: at for at in range(132, 132 + 12 * int.from_bytes(content[128:132], "big"), 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    content[red + 4 : red + 12], content[blue + 4 : blue + 12] = (
        content[blue + 4 : blue + 12],
        content[red + 4 : red + 12],
    )
    return bytes(content).replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))


# --- S24: only JPEG, PNG, WebP


def s24_fits() -> Case:
    return b"SIMPLE  =                    T".ljust(2880) + b"\x00" * 2880, "unsupported-image"


def s24_psd() -> Case:
    return b"8BPS\x00\x01" + b"\x00" * 6 + struct.pack(">HLLHH", 3, 4, 4, 8, 3) + b"\x00" * 64, "unsupported-image"


def s24_eps() -> Case:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n", "unsupported-image"


def s24_tiff() -> Case:
    return encode(picture(), "TIFF"), "unsupported-image"


def s24_svg() -> Case:
    return b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "unsupported-image"


def s24_gif() -> Case:
    return encode(picture(), "GIF"), "unsupported-image"


def s24_bmp() -> Case:
    return encode(picture(), "BMP"), "unsupported-image"


def s24_zip() -> Case:
    return b"PK\x05\x06" + b"\x00" * 18, "unsupported-image"


def s24_pickle() -> Case:
    return b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.", "unsupported-image"


def s24_empty() -> Case:
    return b"", "unsupported-image"


def s24_png_signature_alone() -> Case:
    return b"\x89PNG\r\n\x1a\n", "image-corrupt"


def s24_riff_but_no_webp() -> Case:
    return b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 28, "unsupported-image"


# --- S25: pixel bombs


def s25_png_of_400_megapixels() -> Case:
    return raw_png(header(20000, 20000, depth=1, colour=0), [b"\x00" * 2500] * 8), "image-too-large"


def s25_png_of_100_megapixels() -> Case:
    return raw_png(header(10000, 10000, depth=1, colour=0), [b"\x00" * 1250] * 8), "image-too-large"


def s25_png_just_above() -> Case:
    return raw_png(header(8000, 5001, depth=1, colour=0), [b"\x00" * 1000] * 8), "image-too-large"


def s25_png_of_the_largest_header() -> Case:
    return raw_png(header(2**31 - 1, 2**31 - 1), [b"\x00" * 3]), "image-too-large"


def s25_jpeg_of_4000_megapixels() -> Case:
    content = encode(picture(), "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", 65000, 65000) + content[at + 4 :], "image-too-large"


def s25_webp_of_268_megapixels() -> Case:
    data = b"\x2f" + struct.pack("<L", 16383 | 16383 << 14) + b"\x00" * 9
    return b"RIFF" + struct.pack("<L", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<L", len(data)) + data, (
        "image-too-large"
    )


def s25_webp_canvas_of_281_million_megapixels() -> Case:
    data = b"\x00" * 4 + b"\xff" * 6
    return b"RIFF" + struct.pack("<L", 22) + b"WEBPVP8X" + struct.pack("<L", 10) + data, "image-too-large"


def s25_thread_of_pixels() -> Case:
    """Cheap by itself; resized to 224 pixels of height it would have 1,100,000,000."""
    return raw_png(header(22000, 1, colour=0), [b"\x00" * 22000]), "image-too-large"


def s25_colour_profile_bomb() -> Case:
    packed = zlib.compress(b"\x00" * 40_000_000, 9)
    return with_chunks(png(), chunk(b"iCCP", b"bomb\x00\x00" + packed)), "image-corrupt"


def s25_jpeg_of_10000_scans() -> Case:
    content = encode(picture(), "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * 10_000 + content[-2:], "image-corrupt"


def s25_png_of_a_million_chunks() -> Case:
    return with_chunks(png(), chunk(b"tEXt", b"a\x00") * 1_000_000), "image-corrupt"


def s25_jpeg_of_a_million_exif_segments() -> Case:
    content = encode(picture(), "JPEG")
    return content[:2] + b"\xff\xe1\x00\x09Exif\x00\x00a" * 1_000_000 + content[2:], "image-corrupt"


# --- S26: several frames


def s26_apng() -> Case:
    return encode(picture(), save_all=True, append_images=[picture(1), picture(2)]), "image-animated"


def s26_apng_with_a_default_image() -> Case:
    return encode(picture(), save_all=True, default_image=True, append_images=[picture(1)]), "image-animated"


def s26_apng_announced_twice() -> Case:
    """Pillow takes it for a still one."""
    content = s26_apng()[0]
    at = content.index(b"acTL") - 4
    return content[:at] + content[at : at + 20] * 2 + content[at + 20 :], "image-animated"


def s26_mpo() -> Case:
    return encode(picture(), "MPO", save_all=True, append_images=[picture(1)]), "image-animated"


def s26_animated_webp() -> Case:
    return encode(picture(), "WEBP", save_all=True, append_images=[picture(1)]), "image-animated"


def s26_animated_gif() -> Case:
    return encode(picture(), "GIF", save_all=True, append_images=[picture(1)]), "unsupported-image"


# --- S27: cut short or damaged


def s27_half_jpeg() -> Case:
    content = encode(picture(size=(200, 200)), "JPEG")
    return content[: len(content) // 2], "image-corrupt"


def s27_half_progressive_jpeg() -> Case:
    content = encode(picture(size=(200, 200)), "JPEG", progressive=True)
    return content[: content.index(b"\xff\xda") + 20], "image-corrupt"


def s27_half_png() -> Case:
    content = png(size=(200, 200))
    return content[: len(content) // 2], "image-corrupt"


def s27_png_of_too_few_rows() -> Case:
    return raw_png(header(32, 32), [b"\x80" * 96] * 8), "image-corrupt"


def s27_png_without_pixels() -> Case:
    return b"\x89PNG\r\n\x1a\n" + header(4, 4) + chunk(b"IEND", b""), "image-corrupt"


def s27_png_of_no_width() -> Case:
    return raw_png(header(0, 4), [b""] * 4), "image-corrupt"


def s27_png_of_wrong_checksum() -> Case:
    content = bytearray(png())
    content[content.index(b"IDAT") + 8] ^= 0x40
    return bytes(content), "image-corrupt"


def s27_png_of_two_headers() -> Case:
    return with_chunks(png(), header(4, 4)), "image-corrupt"


def s27_half_webp() -> Case:
    content = encode(picture(size=(200, 200)), "WEBP")
    return content[: len(content) // 2], "image-corrupt"


def s27_webp_of_half_the_pixels() -> Case:
    content = encode(picture(size=(200, 200)), "WEBP", lossless=True)
    half = content[: len(content) // 4 * 2]
    sizes = struct.pack("<L", len(half) - 8), struct.pack("<L", len(half) - 20)
    return half[:4] + sizes[0] + half[8:16] + sizes[1] + half[20:], "image-corrupt"


def s27_jpeg_header_alone() -> Case:
    return encode(picture(), "JPEG")[:160], "image-corrupt"


def s27_jpeg_of_two_frames() -> Case:
    content = encode(picture(), "JPEG")
    at = content.index(b"\xff\xc0")
    frame = content[at : at + 19]
    return content[:at] + frame + content[at:], "image-corrupt"


def s27_jpeg_of_12_bits() -> Case:
    content = bytearray(encode(picture(), "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    return bytes(content), "image-corrupt"
