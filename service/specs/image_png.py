"""PNG files: W3C PNG, third edition, sections 5 and 11."""

import struct
import zlib
from collections.abc import Iterator

from service.errors import ImageAnimated, ImageCorrupt
from service.specs.image_parts import MAX_PROFILE_BYTES, StillImage, read_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def read_png(content: bytes) -> StillImage:
    """Takes a PNG file apart.

    Raises:
        ImageAnimated: an APNG.
        ImageCorrupt: broken or missing chunks, wrong checksums, a colour profile of unreasonable size.
    """
    if content[8:16] != b"\x00\x00\x00\rIHDR" or len(content) < 33:
        raise ImageCorrupt("The image's header is broken.")
    width, height = struct.unpack_from(">LL", content, 16)
    kept = [SIGNATURE]
    orientation, profile, seen_pixels = 1, None, False
    for kind, start, end in _chunks(content):
        data_at, data_ends_at = start + 8, end - 4
        if kind == b"acTL":
            raise ImageAnimated("The image is an animated PNG; only still images are taken.")
        if kind == b"eXIf":
            orientation = read_orientation(content[data_at:data_ends_at])
        elif kind == b"iCCP" and profile is None:
            profile = _profile(content[data_at:data_ends_at])
        elif kind in _NEEDED and not (kind == b"tRNS" and seen_pixels):
            if kind == b"IHDR" and start != len(SIGNATURE):
                raise ImageCorrupt("The image has two headers.")
            if zlib.crc32(content[start + 4 : data_ends_at]) != int.from_bytes(content[data_ends_at:end], "big"):
                raise ImageCorrupt("A part of the image does not match its checksum.")
            seen_pixels = seen_pixels or kind == b"IDAT"
            kept.append(content[start:end])
    return StillImage("PNG", b"".join(kept), width, height, orientation, profile)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Every chunk up to the end chunk: its kind, where it starts, where it ends."""
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(content):
            break
        length, kind = struct.unpack_from(">L4s", content, position)
        end = position + 12 + length
        if end > len(content):
            break
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise ImageCorrupt("The image is cut short, or has too many parts.")


def _profile(data: bytes) -> bytes | None:
    """The ICC profile; None where it cannot be unpacked."""
    packed = data.partition(b"\x00")[2][1:]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    if len(profile) > MAX_PROFILE_BYTES:
        raise ImageCorrupt(f"The image's colour profile has more than {MAX_PROFILE_BYTES} bytes.")
    return profile or None
