"""`metadata.csv`: where it may lie, and which rule each bad one breaks."""

import io
import zipfile

import pytest

from service.errors import ArchiveUnexpectedFile, CsvMalformed, DuplicateColumn, ServiceError
from service.specs.archive_metadata import MAX_CELL, MAX_COLUMNS, check_archive, parse_metadata, read_metadata
from service.specs.archives import list_images
from tests.corpora import pets
from tests.corpora.zip_writer import Part, write_zip

PATHS = {name: name for name in ("cat/1.png", "dog/1.png", "cat/é.png")}
GOOD = b"file_name,patient,taken\ncat/1.png,p1,2024-01-01\ndog/2.png,,2024-02-01\n"


def found_in(content: bytes) -> dict[str, list[str | None]]:
    listing = check_archive(io.BytesIO(content))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return dict(read_metadata(archive, listing).values)


@pytest.mark.parametrize("root", ["", "pets/"])
def test_rows_belong_to_images(root: str) -> None:
    values = found_in(write_zip([*pets.parts(root=root), Part(f"{root}metadata.csv", GOOD)]))
    assert values == {f"{root}cat/1.png": ["p1", "2024-01-01"], f"{root}dog/2.png": [None, "2024-02-01"]}


def test_an_archive_without_metadata_has_no_columns() -> None:
    content = pets.plain()
    listing = check_archive(io.BytesIO(content))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert read_metadata(archive, listing).columns == ()


@pytest.mark.parametrize(
    "name", ["cat/metadata.csv", "metadata.tsv", "Metadata.csv", "labels.csv", "more/metadata.csv", "metadata.csv.png"]
)
def test_exactly_this_file_is_taken(name: str) -> None:
    with pytest.raises(ArchiveUnexpectedFile):
        list_images(io.BytesIO(pets.with_part(Part(name, GOOD))))


def test_it_lies_beside_the_folders_not_above_them() -> None:
    with pytest.raises(ArchiveUnexpectedFile):
        list_images(io.BytesIO(write_zip([*pets.parts(root="pets/"), Part("metadata.csv", GOOD)])))


def test_with_split_folders() -> None:
    parts = [part.but(name=f"{split}/{part.path}") for split in ("train", "test") for part in pets.parts()]
    content = write_zip([*parts, Part("metadata.csv", b"file_name,n\ntest/cat/1.png,1\n")])
    assert found_in(content) == {"test/cat/1.png": ["1"]}
    assert check_archive(io.BytesIO(content)).has_predefined_split


def test_what_spreadsheets_write() -> None:
    content = (
        b'\xef\xbb\xbfpatient,file_name,note\r\n"a, ""b""",cat/1.png,"two\r\nlines"\r\n\r\n7,cat/e\xcc\x81.png,\r\n'
    )
    read = parse_metadata(content, PATHS)
    assert read.columns == ("patient", "note")
    assert read.values == {"cat/1.png": ['a, "b"', "two\r\nlines"], "cat/é.png": ["7", None]}


BAD = {
    "empty": (b"", 1, "no column file_name"),
    "no file_name": (b"path,a\ncat/1.png,1\n", 1, "no column file_name"),
    "latin-1": (b"file_name,a\ncat/1.png,1\ndog/1.png,\xe9\n", 3, "UTF-8"),
    "a quote inside": (b'file_name,a\ncat/1.png,"a"b\n', 2, "RFC 4180"),
    "an open quote": (b'file_name,a\ncat/1.png,"a\n', 2, "RFC 4180"),
    "too few cells": (b"file_name,a\ncat/1.png\n", 2, "1 cells, the header has 2"),
    "too many cells": (b"file_name,a\n\ncat/1.png,1,2\n", 3, "3 cells, the header has 2"),
    "no such image": (b"file_name,a\ncat/1.png,1\ncat/2.png,1\n", 3, "not the path of an image"),
    "a path upwards": (b"file_name,a\n../cat/1.png,1\n", 2, "not the path of an image"),
    "an image twice": (b"file_name,a\ncat/1.png,1\ncat/1.png,2\n", 3, "has a row already"),
    "a column without a name": (b"file_name,\ncat/1.png,1\n", 1, "column 2 is empty"),
    "a space before a name": (b"file_name, a\ncat/1.png,1\n", 1, "column 2 is empty"),
    "a long name": (b"file_name," + b"a" * 201 + b"\n", 1, "column 2 is empty"),
    "too many columns": (b"file_name" + b"".join(b",%d" % n for n in range(MAX_COLUMNS)), 1, "columns"),
    "a long cell": (b"file_name,a\ncat/1.png," + b"x" * (MAX_CELL + 1), 2, "cell 2 is longer"),
    "an endless cell": (b"file_name,a\ncat/1.png," + b"x" * 200_000, 2, "endless"),
    "NUL": (b"file_name,a\ncat/1.png,x\0\n", 2, "NUL"),
    "no CSV at all": (b"\x89PNG\r\n", 1, "UTF-8"),
}


@pytest.mark.parametrize(("content", "line", "rule"), BAD.values(), ids=BAD)
def test_the_line_and_the_rule_are_named(content: bytes, line: int, rule: str) -> None:
    with pytest.raises(CsvMalformed) as caught:
        parse_metadata(content, PATHS)
    (fault,) = caught.value.errors
    assert fault.loc == ("file", "metadata.csv", line)
    assert rule in fault.message
    assert fault.message in caught.value.detail


def test_every_bad_line_is_named_up_to_100() -> None:
    bad = b"".join(b"cat/x%d.png,1\n" % number for number in range(150))
    with pytest.raises(CsvMalformed) as caught:
        parse_metadata(b"file_name,a\n" + bad, PATHS)
    assert [fault.loc[-1] for fault in caught.value.errors] == list(range(2, 102))


@pytest.mark.parametrize("header", [b"file_name,a,a", b"file_name,file_name", b"a,file_name,b,a"])
def test_columns_have_names_of_their_own(header: bytes) -> None:
    with pytest.raises(DuplicateColumn):
        parse_metadata(header + b"\n", PATHS)


def test_a_damaged_file_is_malformed() -> None:
    broken = pets.with_part(Part("metadata.csv", GOOD)).replace(b"p1,2024-01-01", b"p1,2024-01-02")
    with pytest.raises(ServiceError) as caught:
        check_archive(io.BytesIO(broken))
    assert caught.value.slug == "csv-malformed"
