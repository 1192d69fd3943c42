"""JPEG files: ITU-T T.81 annex B, Exif, Adobe and ICC application segments, CIPA DC-007 multi-picture files."""

import re
from collections.abc import Iterator

from service.errors import ImageAnimated, ImageCorrupt
from service.specs.image_parts import MAX_PROFILE_BYTES, StillImage, read_orientation, read_tag

MAX_SEGMENTS = 4096
MAX_SCANS = 64

# a marker, not a byte stuffed into or a restart within coded data
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TEM, _SOI, _EOI, _SOS, _COM = 0x01, 0xD8, 0xD9, 0xDA, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APPLICATION = frozenset(range(0xE0, 0xF0))
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
_MULTI_PICTURE_COUNT = 0xB001

Segment = tuple[int, bytes]  # marker code, payload


def read_jpeg(content: bytes) -> StillImage:
    """Takes a JPEG file apart.

    Raises:
        ImageAnimated: several pictures (MPO); a picture with a gain map for bright screens counts as one.
        ImageCorrupt: not a whole JPEG header, too many segments or too many scans.
    """
    kept, dropped = [b"\xff\xd8"], []
    size: tuple[int, int] | None = None
    position = 2
    for (code, payload), start, position in _segments(content):
        if code == _SOS:
            break
        if code in _FRAMES:
            if size or len(payload) < 6:
                raise ImageCorrupt("The image's header is broken.")
            size = (int.from_bytes(payload[3:5], "big"), int.from_bytes(payload[1:3], "big"))
        if _is_metadata(code, payload):
            dropped.append((code, payload))
        else:
            kept.append(content[start:position])
    if size is None:
        raise ImageCorrupt("The image's header is broken.")
    _refuse_several(dropped)
    kept.append(content[start : _end_of_scans(content, position)])
    orientation = next((read_orientation(data) for code, data in dropped if _is_exif(code, data)), 1)
    return StillImage("JPEG", b"".join(kept), *size, orientation, _profile(dropped))


def _segments(content: bytes) -> Iterator[tuple[Segment, int, int]]:
    """Every segment up to the first scan's header: code and payload, where it starts, where it ends."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(content, position)
        if marker is None:
            break
        code = content[marker.start() + 1]
        if code in (_TEM, _SOI):
            position = marker.end()
            continue
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        if code == _EOI or position < marker.end() + 2 or position > len(content):
            break
        yield (code, content[marker.end() + 2 : position]), marker.start(), position
        if code == _SOS:
            return
    raise ImageCorrupt("The image's header is broken.")


def _end_of_scans(content: bytes, position: int) -> int:
    """Behind the end marker; what follows is not part of the picture."""
    scans = 1
    for _ in range(MAX_SEGMENTS):
        marker = _MARKER.search(content, position)
        if marker is None:
            return len(content)
        position, code = marker.end(), content[marker.start() + 1]
        if code == _EOI:
            return position
        scans += code == _SOS
        if scans > MAX_SCANS:
            break
        if code in (_SOS, _COM) or code in _TABLES or code in _APPLICATION:
            position += int.from_bytes(content[position : position + 2], "big")
    raise ImageCorrupt(f"The image has more than {MAX_SCANS} scans.")


def _is_metadata(code: int, payload: bytes) -> bool:
    """All application data but JFIF and Adobe, which say how colours are coded."""
    if code not in _APPLICATION:
        return code == _COM
    needed = {0xE0: b"JFIF", 0xEE: b"Adobe"}.get(code)
    return needed is None or not payload.startswith(needed)


def _is_exif(code: int, payload: bytes) -> bool:
    return code == 0xE1 and payload.startswith(b"Exif\x00")


def _refuse_several(dropped: list[Segment]) -> None:
    gain_map = any(code == 0xE1 and b' hdrgm:Version="' in payload for code, payload in dropped)
    for code, payload in dropped:
        if code == 0xE2 and payload.startswith(b"MPF\x00") and not gain_map:
            pictures = read_tag(payload[4:], _MULTI_PICTURE_COUNT)
            if pictures is not None and pictures > 1:
                raise ImageAnimated(f"The image has {pictures} pictures; only single ones are taken.")


def _profile(dropped: list[Segment]) -> bytes | None:
    """The ICC profile, put together from its numbered parts; None unless all are there."""
    parts = {
        data[12]: data for code, data in dropped if code == 0xE2 and data.startswith(b"ICC_PROFILE\x00") and data[14:]
    }
    if not parts or sorted(parts) != list(range(1, parts[min(parts)][13] + 1)):
        return None
    profile = b"".join(parts[number][14:] for number in sorted(parts))
    return profile if len(profile) <= MAX_PROFILE_BYTES else None
