"""S21: archives that expand, and entries that lie about it."""

import io
import zipfile

from tests.corpora.pets import parts, with_part
from tests.corpora.pictures import png
from tests.corpora.zip_writer import Part, deflate, local_header, write_zip

Case = tuple[bytes, str]
BOMB = "archive-bomb"


def s21_200_mib_of_zeros() -> Case:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", png())
        with archive.open("dog/1.png", "w") as file:
            for _ in range(200):
                file.write(bytes(1024 * 1024))
    return buffer.getvalue(), BOMB


def s21_many_small_bombs() -> Case:
    """Each within the allowance for small files, all together not."""
    zeros = bytes(1_000_000)
    return write_zip([Part(f"{name}/{n}.png", zeros, method=8) for name in ("cat", "dog") for n in range(20)]), BOMB


def s21_200_001_entries() -> Case:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(200_001):
            archive.writestr(f"{number % 2}/{number}.png", b"")
    return buffer.getvalue(), BOMB


def s21_declares_11_gib() -> Case:
    big = 400 * 1024 * 1024
    members = [
        part.but(local={"size": big, "method": 8}, central={"size": big, "method": 8}) for part in parts(each=16)
    ]
    return write_zip(members), BOMB


def s21_all_entries_over_one() -> Case:
    """Many entries of the directory share one member's data."""
    part = Part("cat/0.png", png())
    others = [Part(f"dog/{n}.png", part.data, absent=True, central={"offset": 0}) for n in range(3)]
    return write_zip([part, *others]), BOMB


def s21_quoted_overlap() -> Case:
    """The first entry's data holds the second entry's header (Fifield 2019, CVE-2024-0450)."""
    inner = Part("dog/0.png", png())
    inside = local_header(inner) + inner.data
    outer = Part("cat/0.png", inside)
    start = len(local_header(outer))
    return write_zip([outer, inner.but(absent=True, central={"offset": start})]), BOMB


def s21_beyond_the_directory() -> Case:
    last = Part("dog/9.png", png(90))
    longer = {"stored": len(last.data) + 40, "size": len(last.data) + 40}
    return with_part(last.but(local=longer, central=longer)), BOMB


def lying_bomb() -> bytes:
    """An entry that declares 1,000 bytes and holds 60 MiB."""
    packed = deflate(bytes(60 * 1024 * 1024))
    lie = {"method": 8, "size": 1000}
    return with_part(Part("dog/9.png", packed, local=lie, central=lie))


def wrong_checksum() -> bytes:
    lie = {"crc": 7}
    return with_part(Part("dog/9.png", png(90), local=lie, central=lie))


def broken_deflate() -> bytes:
    lie = {"method": 8}
    return with_part(Part("dog/9.png", png(90), local=lie, central=lie))
