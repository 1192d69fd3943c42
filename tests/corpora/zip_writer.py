"""Writes zip files field by field, so that each field can be wrong on its own."""

import dataclasses
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UTF8, DESCRIPTOR, ENCRYPTED = 0x0800, 0x0008, 0x0001
FILE_MODE = 0o100644


@dataclass(frozen=True)
class Part:
    """One member; `local` and `central` override single fields of its two headers."""

    name: bytes | str
    data: bytes = b""
    method: int = 0
    flags: int = UTF8
    mode: int = FILE_MODE
    extra: bytes = b""
    descriptor: bytes | None = None
    gap: bytes = b""  # in front of it
    absent: bool = False  # in the directory only
    local: Mapping[str, object] = field(default_factory=dict)
    central: Mapping[str, object] = field(default_factory=dict)

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def path(self) -> str:
        return self.raw_name.decode()

    @property
    def packed(self) -> bytes:
        return deflate(self.data) if self.method == 8 else self.data

    def fields(self) -> dict[str, object]:
        return {
            "name": self.raw_name,
            "flags": self.flags,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "stored": len(self.packed),
            "size": len(self.data),
            "extra": self.extra,
            "version": 20,
            "disk": 0,
            "attributes": self.mode << 16,
            "comment": b"",
        }

    def but(self, **changes: object) -> "Part":
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def local_header(part: Part) -> bytes:
    f = part.fields() | dict(part.local)
    head = struct.pack("<5H3L", f["version"], f["flags"], f["method"], 0, 33, f["crc"], f["stored"], f["size"])
    return b"PK\x03\x04" + head + struct.pack("<2H", len(f["name"]), len(f["extra"])) + f["name"] + f["extra"]  # type: ignore[arg-type,operator]


def central_header(part: Part, offset: int) -> bytes:
    f = {"offset": offset} | part.fields() | dict(part.central)
    head = struct.pack(
        "<4B4H3L", 20, 3, f["version"], 0, f["flags"], f["method"], 0, 33, f["crc"], f["stored"], f["size"]
    )
    lengths = struct.pack("<3H", len(f["name"]), len(f["extra"]), len(f["comment"]))  # type: ignore[arg-type]
    place = struct.pack("<2H2L", f["disk"], 0, f["attributes"], f["offset"])
    return b"PK\x01\x02" + head + lengths + place + f["name"] + f["extra"] + f["comment"]  # type: ignore[operator]


def write_zip(
    parts: Sequence[Part],
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    zip64: Mapping[str, int] | None = None,
    comment: bytes = b"",
    suffix: bytes = b"",
    **end: int,
) -> bytes:
    """`end` overrides fields of the end record, `zip64` (also empty) adds and overrides a zip64 end record."""
    body, directory = bytearray(prefix), bytearray()
    for part in parts:
        body += part.gap
        directory += central_header(part, len(body))
        if not part.absent:
            body += local_header(part) + part.packed + (part.descriptor or b"")
    body += before_directory
    facts = {"disk": 0, "here": len(parts), "members": len(parts), "size": len(directory), "offset": len(body)}
    body += directory
    if zip64 is not None:
        body += _zip64_records(facts | dict(zip64), at=len(body))
    facts |= {"comment": len(comment)} | end
    f = facts
    tail = struct.pack("<4H2LH", f["disk"], 0, f["here"], f["members"], f["size"], f["offset"], f["comment"])
    return bytes(body) + b"PK\x05\x06" + tail + comment + suffix


def _zip64_records(f: dict[str, int], *, at: int) -> bytes:
    record = struct.pack("<Q2H2L", 44, 45, 45, 0, 0)
    record += struct.pack("<4Q", f["here"], f["members"], f["size"], f["offset"])
    locator = struct.pack("<LQL", 0, f.get("record_at", at), 1)
    return b"PK\x06\x06" + record + b"PK\x06\x07" + locator
