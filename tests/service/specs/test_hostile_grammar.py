"""Archives and images grown from a grammar: nothing but a `ServiceError` comes out, and what passes reads one way."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ServiceError
from service.specs.archives import list_images, read_entry
from service.specs.images import decode_image, open_image
from tests.corpora import pets
from tests.corpora.pictures import encode, grey16, picture, png, with_orientation
from tests.corpora.zip_writer import Part, write_zip

PICTURE = png()
FOLDERS = [
    "cat",
    "Cat",
    "dog",
    "train",
    "test",
    "caf\u00e9",
    "cafe\u0301",
    "..",
    ".",
    "",
    "__MACOSX",
    "\u202e",
    "a\\b",
    "C:",
]
FILES = ["1.png", "1.PNG", "2.jpg", "._1.png", ".DS_Store", "x.zip", "", "a\x00.png", "é.webp"]
NUMBERS = st.sampled_from([0, 1, 5, 20, 0xFFFF, 0xFFFFFFFF])
EXTRAS = st.one_of(
    st.just(b""),
    st.binary(max_size=12),
    st.builds(lambda body: struct.pack("<HH", 1, len(body)) + body, st.binary(max_size=28)),
    st.builds(lambda body: struct.pack("<HH", 0x7075, len(body)) + body, st.binary(max_size=28)),
)


def sometimes(key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), st.just({}), st.just({}), values.map(lambda value: {key: value}))


def overrides() -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        "flags": st.sampled_from([0, 1, 8, 0x40, 0x800, 0x808, 0x2000]),
        "method": st.sampled_from([0, 8, 9, 12, 99]),
        "crc": NUMBERS,
        "stored": NUMBERS,
        "size": NUMBERS,
        "extra": EXTRAS,
        "version": st.sampled_from([10, 20, 45, 63, 255]),
    }
    return st.tuples(*[sometimes(key, values) for key, values in fields.items()]).map(
        lambda chosen: {key: value for one in chosen for key, value in one.items()}
    )


NAMES = st.one_of(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FILES)).map("/".join),
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FOLDERS), st.sampled_from(FILES)).map("/".join),
    st.text(max_size=20),
    st.binary(max_size=20),
)
PARTS = st.builds(
    Part,
    name=NAMES,
    data=st.sampled_from([b"", b"x", PICTURE]),
    method=st.sampled_from([0, 0, 8]),
    flags=st.sampled_from([0x800, 0x800, 0, 0x808]),
    mode=st.sampled_from([0o100644, 0o100644, 0, 0o040755, 0o120777]),
    extra=st.one_of(st.just(b""), EXTRAS),
    gap=st.sampled_from([b"", b"", b"", b"gap"]),
    absent=st.sampled_from([False, False, False, True]),
    local=st.one_of(st.just({}), overrides()),
    central=st.one_of(st.just({}), overrides()),
)
ENDS = st.fixed_dictionaries(
    {},
    optional={
        "comment": st.sampled_from([b"", b"hello", b"PK\x05\x06"]),
        "zip64": st.sampled_from([{}, {"members": 3}, {"offset": 2**63}]),
        "members": st.integers(0, 0xFFFF),
        "size": NUMBERS,
        "offset": NUMBERS,
    },
)


def check_archive(content: bytes) -> None:
    """Rejected, or read by `zipfile` as by us, each entry whole."""
    try:
        listing = list_images(io.BytesIO(content))
    except ServiceError:
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [info.orig_filename for info in archive.infolist() if not info.is_dir()]
        assert len(names) == len(listing.entries) + listing.ignored_files
        assert len(set(map(str.casefold, names))) == len(names)
        for entry in listing.entries:
            try:
                assert len(read_entry(archive, entry.path)) == entry.size_bytes
            except ServiceError:
                with pytest.raises((zipfile.BadZipFile, zlib.error, EOFError)):
                    archive.read(entry.path)


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(PARTS, max_size=4), end=ENDS, harmless=st.booleans())
def test_archives_by_grammar(parts: list[Part], end: dict[str, Any], harmless: bool) -> None:
    check_archive(write_zip([*(pets.parts(each=1) if harmless else []), *parts], **end))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_archives(data: st.DataObject) -> None:
    check_archive(damage(data, write_zip([*pets.junk(), *pets.parts(each=2)], comment=b"pets")))


EXTREMES = [b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"]
IMAGES = [
    PICTURE,
    encode(picture().quantize(8)),
    encode(picture().convert("LA")),
    grey16([[0, 40000, 65535]] * 3),
    encode(picture(), "JPEG"),
    encode(picture(), "JPEG", progressive=True),
    encode(picture().convert("CMYK"), "JPEG"),
    with_orientation(picture(), 6, "JPEG"),
    encode(picture(), "WEBP"),
    encode(picture(), "WEBP", lossless=True, exif=b"Exif\x00\x00II*\x00"),
]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=600, deadline=None)
@given(st.sampled_from(IMAGES), st.data())
def test_damaged_images(content: bytes, data: st.DataObject) -> None:
    content = damage(data, content)
    for read in (open_image, decode_image):
        try:
            assert min(read(content).size) > 0
        except ServiceError:
            continue


def damage(data: st.DataObject, content: bytes) -> bytes:
    """A few bytes changed, cut out or put in; PNG checksums made good again, so that damage gets past them."""
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        new = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff"]))
        )
        cut = data.draw(st.sampled_from([0, len(new), len(new), 10]))
        content = content[:at] + new + content[at + cut :]
    return _with_checksums(content)


def _with_checksums(content: bytes) -> bytes:
    if not content.startswith(PICTURE[:8]):
        return content
    position, mended = 8, bytearray(content)
    while position + 12 <= len(mended):
        ends_at = position + 8 + int.from_bytes(mended[position : position + 4], "big")
        if ends_at + 4 > len(mended):
            break
        mended[ends_at : ends_at + 4] = struct.pack(">L", zlib.crc32(mended[position + 4 : ends_at]))
        position = ends_at + 4
    return bytes(mended)
