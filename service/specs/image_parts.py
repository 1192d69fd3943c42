"""What is kept of an image file: its pixels' encoding, its size, how it is turned, its colour profile.

Everything else in the file (text, thumbnails, EXIF, further pictures, whatever follows it) is read by nobody: that is
where oversized and contradictory things are hidden. The readers for JPEG, PNG and WebP walk the containers in time
proportional to the file's size and hand Pillow only what it needs to decode the pixels.
"""

import struct
from dataclasses import dataclass

MAX_PROFILE_BYTES = 4 * 1024 * 1024
_EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class StillImage:
    """One picture: `encoded` is a complete file without metadata; width and height are those before turning."""

    format: str
    encoded: bytes
    width: int
    height: int
    orientation: int = 1
    profile: bytes | None = None


def read_orientation(exif: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or none that makes sense, as viewers do."""
    value = read_tag(exif.removeprefix(_EXIF_PREFIX), _ORIENTATION)
    return value if value is not None and 1 <= value <= 8 else 1


def read_tag(tiff: bytes, tag: int) -> int | None:
    """The value of one single-number tag of a TIFF structure's first directory; None where it is not to be had."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (position,) = struct.unpack_from(order + "L", tiff, 4)
    if position + 2 > len(tiff):
        return None
    (entries,) = struct.unpack_from(order + "H", tiff, position)
    for start in range(position + 2, min(position + 2 + 12 * entries, len(tiff) - 11), 12):
        found, kind, count = struct.unpack_from(order + "HHL", tiff, start)
        if found == tag and count == 1 and kind in (_SHORT, _LONG):
            (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "L"), tiff, start + 8)
            return int(value)
    return None
