"""The members of a zip file, read so strictly that no two readers can disagree about them.

A zip file names each member twice (in front of its data and in the directory at the end), and most readers repair
silently what does not fit. Here the parts must tile the file: header, data and descriptor of one member after the
other, then the directory, then the end record (`service.specs.zip_end`), without a byte before, between or after.

Format: PKWARE APPNOTE 6.3, sections 4.3 to 4.5.
"""

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple
from zlib import crc32

from service.errors import ArchiveAmbiguous, ArchiveBomb, Fault
from service.specs.zip_end import read_end

STORED, DEFLATED = 0, 8
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
_WIDE32 = 0xFFFFFFFF  # stands for: see the zip64 field
_EXTRA_ZIP64, _EXTRA_UNICODE_PATH = 0x0001, 0x7075
_MAX_VERSION = 63
_ENCRYPTED, _DESCRIPTOR, _PATCHED, _UTF8 = 0x0001, 0x0008, 0x0020, 0x0800
_STRONGLY_ENCRYPTED, _MASKED = 0x0040, 0x2000


class ZipMember(NamedTuple):
    """One entry of the central directory; `unix_mode` is 0 where the writer gave none."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    stored_bytes: int
    size_bytes: int
    unix_mode: int
    dos_attributes: int
    header_at: int

    @property
    def is_folder(self) -> bool:
        """Whether it names a folder."""
        return self.raw_name.endswith(b"/")

    @property
    def name_as_code_page(self) -> str:
        """The name as readers see it who take a name not marked as UTF-8 for code page 437."""
        return self.name if self.flags & _UTF8 else self.raw_name.decode("cp437")

    @property
    def is_encrypted(self) -> bool:
        """Whether its data or its header cannot be read without a password."""
        return bool(self.flags & (_ENCRYPTED | _STRONGLY_ENCRYPTED | _MASKED))


class ZipDirectory(NamedTuple):
    """The central directory, in its own order, and where in the file it starts."""

    members: list[ZipMember]
    starts_at: int


def read_directory(file: IO[bytes], *, max_members: int) -> ZipDirectory:
    """Reads the central directory alone; no member's header or data.

    Raises:
        UnsupportedMediaType: no zip file at all.
        ArchiveBomb: more than `max_members`, or an oversized directory.
        ArchiveAmbiguous: cut short, followed by other data, spanned, or contradicting itself.
    """
    end = read_end(file)
    if end.members > max_members or end.directory_bytes > MAX_DIRECTORY_BYTES:
        raise ArchiveBomb(f"The archive has more than {max_members} entries.")
    if end.directory_at + end.directory_bytes != end.position:
        raise ArchiveAmbiguous("The archive's directory is not where its end record says.")
    file.seek(end.directory_at)
    directory = file.read(end.directory_bytes)
    members = []
    for member in _parse_directory(directory):
        members.append(member)
        if len(members) > end.members:
            break
    if len(members) != end.members:
        raise ArchiveAmbiguous("The archive's directory and its end record count different numbers of entries.")
    return ZipDirectory(members, end.directory_at)


def check_layout(file: IO[bytes], directory: ZipDirectory) -> None:
    """Compares every member's own header with the directory and checks that the parts tile the file.

    Raises:
        ArchiveBomb: members overlap.
        ArchiveAmbiguous: a header differs from the directory, or there is data that belongs to no member.
    """
    order = sorted(enumerate(directory.members), key=lambda pair: pair[1].header_at)
    starts = [member.header_at for _, member in order] + [directory.starts_at]
    if starts[0] != 0:
        raise ArchiveAmbiguous("There is data before the archive's first entry.")
    for (index, member), next_at in zip(order, starts[1:], strict=True):
        reason = _check_member(file, member, next_at=next_at, index=index)
        if reason:
            raise ArchiveAmbiguous("The archive contradicts itself.", errors=[_fault(index, ArchiveAmbiguous, reason)])


def _check_member(file: IO[bytes], member: ZipMember, *, next_at: int, index: int) -> str | None:
    overlap = ArchiveBomb("Entries overlap.", errors=[_fault(index, ArchiveBomb, "overlaps with the next one")])
    if member.header_at + _LOCAL.size > next_at:
        raise overlap
    file.seek(member.header_at)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        return "has no header of its own"
    _, _, flags, method, _, _, crc, stored, size, name_bytes, extra_bytes = _LOCAL.unpack(header)
    data_ends_at = member.header_at + _LOCAL.size + name_bytes + extra_bytes + member.stored_bytes
    if data_ends_at > next_at:
        raise overlap
    rest = file.read(name_bytes + extra_bytes)
    if rest[:name_bytes] != member.raw_name:
        return "has another name in its own header"
    if method != member.method or (flags ^ member.flags) & (_ENCRYPTED | _DESCRIPTOR | _UTF8):
        return "has other flags in its own header"
    if not _sizes_agree(member, crc=crc, narrow=(size, stored), extra=rest[name_bytes:]):
        return "has other sizes or another checksum in its own header"
    if not member.flags & _DESCRIPTOR:
        return "is followed by data that belongs to no entry" if data_ends_at != next_at else None
    file.seek(data_ends_at)
    return _check_descriptor(file.read(min(next_at - data_ends_at, 25)), member)


def _sizes_agree(member: ZipMember, *, crc: int, narrow: tuple[int, int], extra: bytes) -> bool:
    sizes = (member.size_bytes, member.stored_bytes)
    if member.flags & _DESCRIPTOR and all(
        value in (0, unknown, known)
        for value, unknown, known in zip((crc, *narrow), (0, _WIDE32, _WIDE32), (member.crc, *sizes), strict=True)
    ):
        return True
    try:
        if narrow == sizes and list(_extra_fields(extra, _EXTRA_ZIP64)) == [struct.pack("<2Q", *sizes)]:
            return crc == member.crc  # said twice and the same, as Python 3.11.2 does where it is asked for zip64
        widened = _widen(list(narrow), extra)
    except ArchiveAmbiguous:
        return False
    return (crc, *widened) == (member.crc, *sizes)


def _check_descriptor(between: bytes, member: ZipMember) -> str | None:
    """The four forms of a data descriptor differ in length, so what lies between two entries says which it is."""
    formats = {12: "<LLL", 16: "<4sLLL", 20: "<LQQ", 24: "<4sLQQ"}
    expected: tuple[object, ...] = (member.crc, member.stored_bytes, member.size_bytes)
    if len(between) in (16, 24):
        expected = (b"PK\x07\x08", *expected)
    if len(between) not in formats or struct.unpack(formats[len(between)], between) != expected:
        return "is not followed by the descriptor it announces"
    return None


def _parse_directory(directory: bytes) -> Iterator[ZipMember]:
    position, index = 0, 0
    while position < len(directory):
        try:
            fields = _CENTRAL.unpack_from(directory, position)
        except struct.error:
            raise ArchiveAmbiguous("The archive's directory is cut short.") from None
        name_at = position + _CENTRAL.size
        extra_at = name_at + fields[12]
        position = extra_at + fields[13] + fields[14]
        if fields[0] != b"PK\x01\x02" or position > len(directory):
            raise ArchiveAmbiguous("The archive's directory is not as it should be.")
        try:
            yield _member(fields, directory[name_at:extra_at], directory[extra_at : extra_at + fields[13]])
        except ArchiveAmbiguous as error:
            fault = _fault(index, ArchiveAmbiguous, error.detail)
            raise ArchiveAmbiguous("The archive contradicts itself.", errors=[fault]) from error
        index += 1


def _member(fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> ZipMember:
    needs_version, flags, method, crc, stored, size = fields[3], *fields[5:7], *fields[9:12]
    known = method in (STORED, DEFLATED) and needs_version <= _MAX_VERSION and not flags & _PATCHED
    if not known and not flags & _ENCRYPTED:
        raise ArchiveAmbiguous("is compressed in a way other than stored or deflate")
    if fields[15]:
        raise ArchiveAmbiguous("lies in another part of the archive")
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        raise ArchiveAmbiguous("has a name that is not UTF-8") from None
    for data in _extra_fields(extra, _EXTRA_UNICODE_PATH):
        if data[5:] != raw_name or data[:5] != struct.pack("<BL", 1, crc32(raw_name)):
            raise ArchiveAmbiguous("has two names")
    size, stored, header_at = _widen([size, stored, fields[18]], extra)
    attributes = fields[17]
    return ZipMember(raw_name, name, flags, method, crc, stored, size, attributes >> 16, attributes & 0xFF, header_at)


def _extra_fields(extra: bytes, kind: int) -> Iterator[bytes]:
    position = 0
    while position + 4 <= len(extra):
        found, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + length > len(extra):
            raise ArchiveAmbiguous("has a broken extra field")
        if found == kind:
            yield extra[position : position + length]
        position += length


def _widen(narrow: list[int], extra: bytes) -> list[int]:
    """Sizes and offsets, those that do not fit 32 bits taken from the zip64 field: all of it, and nothing else."""
    wanted = narrow.count(_WIDE32)
    fields = list(_extra_fields(extra, _EXTRA_ZIP64)) if extra else []
    if not wanted and not fields:
        return narrow
    if len(fields) != 1 or len(fields[0]) != 8 * wanted:
        raise ArchiveAmbiguous("has a zip64 field that does not fit its sizes")
    wide = iter(struct.unpack(f"<{wanted}Q", fields[0]))
    return [next(wide) if value == _WIDE32 else value for value in narrow]


def _fault(index: int, error: type[ArchiveAmbiguous] | type[ArchiveBomb], message: str) -> Fault:
    return Fault(("file", index), error.slug, f"The entry {message}.")
