"""S25: images that expand; S27: images cut short or damaged."""

import struct
import zlib

from tests.corpora.pictures import chunk, encode, header, picture, png, raw_png, with_chunks

Case = tuple[bytes, str]


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


def s27_png_without_palette() -> Case:
    return raw_png(header(4, 1, colour=3), [b"\x00\x01\x02\x03"]), "image-corrupt"


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
