"""WebP files: RFC 9649, section 2."""

import struct

from service.errors import ImageAnimated, ImageCorrupt
from service.specs.image_parts import MAX_PROFILE_BYTES, StillImage, read_orientation

MAX_CHUNKS = 1024
_ANIMATED = 0x02


def read_webp(content: bytes) -> StillImage:
    """Takes a WebP file apart.

    Raises:
        ImageAnimated: an animation.
        ImageCorrupt: cut short, or without pixels.
    """
    (riff_bytes,) = struct.unpack_from("<L", content, 4)
    content = content[: 8 + riff_bytes]
    if len(content) < 8 + riff_bytes:
        raise ImageCorrupt("The image is cut short.")
    chunks = _chunks(content)
    sizes = [size for kind, data in chunks.items() if (size := _size(kind, data))]
    if not sizes:
        raise ImageCorrupt("The image's header is broken.")
    if b"ANIM" in chunks or b"ANMF" in chunks or (chunks.get(b"VP8X") or b"\x00")[0] & _ANIMATED:
        raise ImageAnimated("The image is an animated WebP; only still images are taken.")
    if len(set(sizes)) > 1:
        raise ImageCorrupt("The image has two sizes.")
    profile = chunks.get(b"ICCP")
    if profile is not None and len(profile) > MAX_PROFILE_BYTES:
        profile = None
    return StillImage("WEBP", content, *sizes[0], read_orientation(chunks.get(b"EXIF", b"")), profile)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind."""
    chunks: dict[bytes, bytes] = {}
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(content):
            return chunks
        kind, length = struct.unpack_from("<4sL", content, position)
        if position + 8 + length > len(content):
            break
        chunks.setdefault(kind, content[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    raise ImageCorrupt("The image is cut short, or has too many parts.")


def _size(kind: bytes, data: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X" and len(data) >= 10:
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a" and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[:1] == b"\x2f" and len(data) >= 5:
        (bits,) = struct.unpack_from("<L", data, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
