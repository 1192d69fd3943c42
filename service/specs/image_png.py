"""PNG files: W3C PNG, third edition, sections 5, 7 and 11."""

import struct
import zlib
from collections.abc import Iterator

from service.errors import ImageAnimated, ImageCorrupt
from service.specs.image_parts import MAX_PROFILE_BYTES, StillImage, read_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _TRUECOLOUR, _INDEXED = 0, 2, 3
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


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
        data = content[start + 8 : end - 4] if kind != b"IDAT" else b""
        if kind == b"acTL":
            raise ImageAnimated("The image is an animated PNG; only still images are taken.")
        if kind == b"eXIf":
            orientation = read_orientation(data)
        elif kind == b"iCCP" and profile is None:
            profile = _profile(data)
        elif kind == b"tRNS" and not seen_pixels:
            kept.append(_transparency(data, depth=content[24], colour=content[25]))
        elif kind in _NEEDED - {b"tRNS"}:
            seen_pixels = seen_pixels or kind == b"IDAT"
            kept.append(content[start:end])
    _check_kept(kept[1:], indexed=content[25] == _INDEXED)
    return StillImage("PNG", b"".join(kept), width, height, orientation, profile)


def lacks_rows(encoded: bytes) -> bool:
    """Whether the pixel data of what `read_png` kept ends early; Pillow leaves the missing rows black.

    Raises:
        zlib.error: it is damaged.
    """
    wanted = _row_bytes(*struct.unpack_from(">LLBBxxB", encoded, 16))
    unpacker = zlib.decompressobj()
    for kind, start, end in _chunks(encoded):
        data = encoded[start + 8 : end - 4] if kind == b"IDAT" else b""
        while data and wanted > 0:
            wanted -= len(unpacker.decompress(data, 1024 * 1024))
            data = unpacker.unconsumed_tail
    return wanted > 0


def _row_bytes(width: int, height: int, depth: int, colour: int, interlaced: int) -> int:
    bits = depth * _SAMPLES.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return total


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


def _check_kept(chunks: list[bytes], *, indexed: bool) -> None:
    kinds = [chunk[4:8] for chunk in chunks]
    if kinds.count(b"IHDR") != 1:
        raise ImageCorrupt("The image has two headers.")
    if indexed and b"PLTE" not in kinds:
        raise ImageCorrupt("The image has no palette.")
    if any(zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big") for chunk in chunks):
        raise ImageCorrupt("A part of the image does not match its checksum.")


def _transparency(data: bytes, *, depth: int, colour: int) -> bytes:
    """The chunk that names the clear level or colour, scaled as Pillow scales the pixels and not the chunk."""
    if colour == _GREY and depth in (2, 4) and len(data) == 2:
        data = struct.pack(">H", (data[1] & (2**depth - 1)) * (255 // (2**depth - 1)))
    elif colour == _TRUECOLOUR and depth == 16 and len(data) == 6:
        data = bytes([0, data[0], 0, data[2], 0, data[4]])
    return struct.pack(">L", len(data)) + b"tRNS" + data + struct.pack(">L", zlib.crc32(b"tRNS" + data))


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
