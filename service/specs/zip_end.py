"""The record at the end of a zip file: where the directory is, and how many members it has."""

import struct
from typing import IO, NamedTuple

from service.errors import ArchiveAmbiguous, UnsupportedMediaType

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_END_SIGNATURE = b"PK\x05\x06"
_STARTS = (b"PK\x03\x04", _END_SIGNATURE, b"PK\x07\x08", b"PK00")
_MAX_COMMENT = 0xFFFF
_WIDE16, _WIDE32 = 0xFFFF, 0xFFFFFFFF  # stand for: see the zip64 record


class ZipEnd(NamedTuple):
    """What the end record says; `position` is where it starts, the zip64 one where there is one."""

    members: int
    directory_bytes: int
    directory_at: int
    position: int


def read_end(file: IO[bytes]) -> ZipEnd:
    """Finds the end record, and holds it against the zip64 record where there is one.

    Raises:
        UnsupportedMediaType: no zip file at all.
        ArchiveAmbiguous: cut short, followed by other data, spanned, or contradicting itself.
    """
    file.seek(0)
    starts_as_zip = file.read(4) in _STARTS
    file_bytes = file.seek(0, 2)
    tail_at = max(0, file_bytes - _MAX_COMMENT - _END.size)
    file.seek(tail_at)
    tail = file.read(file_bytes - tail_at)
    found = tail.rfind(_END_SIGNATURE)
    if found < 0 or len(tail) - found < _END.size:
        if starts_as_zip:
            raise ArchiveAmbiguous("The archive is cut short, or other data follows it.")
        raise UnsupportedMediaType("The file is not a zip archive.")
    _, disk, start_disk, here, members, directory_bytes, directory_at, comment_bytes = _END.unpack_from(tail, found)
    if found + _END.size + comment_bytes != len(tail):
        raise ArchiveAmbiguous("Other data follows the archive.")
    end = ZipEnd(members, directory_bytes, directory_at, tail_at + found)
    if disk or start_disk or here != members:
        raise ArchiveAmbiguous("The archive is one part of several.")
    return _widen_end(file, end)


def _widen_end(file: IO[bytes], end: ZipEnd) -> ZipEnd:
    locator_at = end.position - _LOCATOR64.size
    record_at = locator_at - _END64.size
    if record_at < 0:
        return end
    file.seek(record_at)
    record, locator = file.read(_END64.size), file.read(_LOCATOR64.size)
    signature, disk, points_at, disks = _LOCATOR64.unpack(locator)
    if signature != b"PK\x06\x07":
        return end
    signature, record_bytes, _, _, disk_here, start_disk, here, members, *place = _END64.unpack(record)
    fits = signature == b"PK\x06\x06" and record_bytes == _END64.size - 12 and points_at == record_at
    if not fits or disk or disks > 1 or disk_here or start_disk or here != members:
        raise ArchiveAmbiguous("The archive's zip64 end record is not as it should be.")
    wide, full = (members, *place), (_WIDE16, _WIDE32, _WIDE32)
    if any(small not in (large, most) for small, large, most in zip(end[:3], wide, full, strict=True)):
        raise ArchiveAmbiguous("The archive's two end records contradict each other.")
    return ZipEnd(members, place[0], place[1], record_at)
