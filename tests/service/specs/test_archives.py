import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from service.errors import ArchiveBomb, DatasetTooSmall, ImageCorrupt, NotFound, ServiceError, TargetInvalid
from service.specs.archives import MAX_FAULTS, ArchiveLimits, ArchiveListing, list_images, read_entry
from tests.corpora import archive_bombs, pets
from tests.corpora.archives import Case, cases
from tests.corpora.pictures import png
from tests.corpora.zip_writer import DESCRIPTOR, Part, write_zip


class Counted(io.BytesIO):
    """A file that knows how much of it was read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def listing(content: bytes) -> ArchiveListing:
    return list_images(io.BytesIO(content))


def error_of(content: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        listing(content)
    return caught.value


def check(builder: Callable[[], Case]) -> ServiceError:
    content, slug = builder()
    error = error_of(content)
    assert error.slug == slug
    for fault in error.errors:
        assert fault.loc[0] == "file"
        assert isinstance(fault.loc[1], int)
        assert fault.message.isprintable()
    return error


@pytest.mark.parametrize("builder", cases("s19").values(), ids=cases("s19"))
def test_s19_unsafe_path(builder: Callable[[], Case]) -> None:
    assert check(builder).errors


@pytest.mark.parametrize("builder", cases("s20").values(), ids=cases("s20"))
def test_s20_special_file_encryption_other_archive(builder: Callable[[], Case]) -> None:
    check(builder)


@pytest.mark.parametrize("builder", cases("s21").values(), ids=cases("s21"))
def test_s21_bomb(builder: Callable[[], Case]) -> None:
    check(builder)


@pytest.mark.parametrize("builder", cases("s22").values(), ids=cases("s22"))
def test_s22_two_readings(builder: Callable[[], Case]) -> None:
    check(builder)


@pytest.mark.parametrize("builder", cases("s23").values(), ids=cases("s23"))
def test_s23_unexpected_file(builder: Callable[[], Case]) -> None:
    assert check(builder).errors


@pytest.mark.parametrize("builder", cases("s34").values(), ids=cases("s34"))
def test_s34_saved_model(builder: Callable[[], Case]) -> None:
    check(builder)


def test_s21_the_directory_is_counted_before_it_is_read() -> None:
    """A file that claims 65,535 entries in a directory of 1 GiB costs nothing."""
    file = Counted(write_zip(pets.parts(), zip64={"size": 2**30}, size=0xFFFFFFFF))
    with pytest.raises(ArchiveBomb):
        list_images(file)
    assert file.bytes_read < 100_000


def test_s21_a_lying_entry_is_cut_off() -> None:
    content = archive_bombs.lying_bomb()
    assert listing(content).entries[-1].size_bytes == 1000
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        tracemalloc.start()
        with pytest.raises(ArchiveBomb):
            read_entry(archive, "dog/9.png")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize("content", [archive_bombs.wrong_checksum(), archive_bombs.broken_deflate()])
def test_s21_an_entry_must_match_its_checksum(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive, pytest.raises(ImageCorrupt):
        read_entry(archive, "dog/9.png")


def test_s21_entries_are_held_to_the_limit() -> None:
    with zipfile.ZipFile(io.BytesIO(pets.plain())) as archive, pytest.raises(ArchiveBomb):
        read_entry(archive, "dog/1.png", ArchiveLimits(file_bytes=20))


def test_s21_small_pictures_that_compress_well_are_no_bombs() -> None:
    flat = Part("dog/9.png", bytes(900_000), method=8)
    assert len(listing(pets.with_part(flat)).entries) == 13


@pytest.mark.parametrize(
    "limits",
    [ArchiveLimits(entries=11), ArchiveLimits(total_bytes=500), ArchiveLimits(file_bytes=20)],
    ids=["entries", "total_bytes", "file_bytes"],
)
def test_s21_limits_are_the_callers(limits: ArchiveLimits) -> None:
    with pytest.raises(ArchiveBomb):
        list_images(io.BytesIO(pets.plain()), limits)


def test_s23_junk_is_counted_and_ignored() -> None:
    found = listing(write_zip([*pets.junk(), *pets.parts()]))
    assert (found.ignored_files, len(found.entries), found.classes) == (5, 12, ("cat", "dog"))


def test_faults_are_limited_and_safe_to_print() -> None:
    error = error_of(write_zip([Part(f"cat/\x1b\u202e<b>{number}.png") for number in range(150)]))
    assert len(error.errors) == MAX_FAULTS
    assert "\\x1b\\u202e<b>0.png" in error.errors[0].message
    assert error.errors[7].loc == ("file", 7)
    long = error_of(pets.with_part(Part("cat/" + "\u202e" * 200, b"")))
    assert len(long.errors[0].message) < 250


def test_classes_are_sorted_and_entries_keep_their_order() -> None:
    found = listing(write_zip([Part(f"{name}/1.png", png(n)) for n, name in enumerate(("zebra", "ant", "ox"))]))
    assert found.classes == ("ant", "ox", "zebra")
    assert [entry.label for entry in found.entries] == ["zebra", "ant", "ox"]
    assert not found.has_predefined_split


@pytest.mark.parametrize("root", ["", "pets/"])
def test_split_folders(root: str) -> None:
    names = ("train/cat/1.png", "validation/cat/2.png", "test/dog/3.webp", "train/dog/4.JPEG")
    found = listing(write_zip([Part(root + name, png(n)) for n, name in enumerate(names)]))
    assert [(entry.label, entry.split) for entry in found.entries] == [
        ("cat", "train"),
        ("cat", "validation"),
        ("dog", "test"),
        ("dog", "train"),
    ]
    assert found.has_predefined_split
    assert found.entries[0].path == root + "train/cat/1.png"


@pytest.mark.parametrize("folders", [False, True])
def test_one_folder_around_everything_is_passed_over(folders: bool) -> None:
    extra = [Part("pets/", mode=0o040755), Part("pets/cat/", mode=0o040755)] if folders else []
    found = listing(write_zip([*extra, *pets.parts(root="pets/"), Part("__MACOSX/pets/cat/._1.png", b"")]))
    assert (found.classes, found.ignored_files) == (("cat", "dog"), 1)


@pytest.mark.parametrize("flags", [0x0800, 0], ids=["marked", "unmarked"])
@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301", "猫", "👩\u200d🚀"])
def test_names_beyond_ascii(name: str, flags: int) -> None:
    content = write_zip([Part(f"{label}/1.png", png(), flags=flags) for label in (name, "dog")])
    found = listing(content)
    assert found.entries[0].label == name.replace("e\u0301", "é")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert read_entry(archive, found.entries[0].path) == png()


def test_names_that_only_look_odd_are_taken() -> None:
    names = ("St. Bernard/2024-01-01T10:00:00.png", "a b/.. .png", "x/...png", "100%/%2e%2e%2f.png", "~/1.png")
    assert len(listing(write_zip([Part(name, png()) for name in names])).entries) == 5


@pytest.mark.parametrize(
    ("method", "streamed", "zip64"), [(0, False, False), (8, False, True), (8, True, False), (0, True, True)]
)
def test_what_python_writes(method: int, streamed: bool, zip64: bool) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return not streamed

        def tell(self) -> int:
            if streamed:
                raise OSError
            return super().tell()

        def seek(self, *args: int) -> int:
            if streamed:
                raise OSError
            return super().seek(*args)

    buffer = Unseekable()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = b"my pets"
        for part in pets.parts():
            with archive.open(part.path, "w", force_zip64=zip64) as file:
                file.write(part.data)
    content = buffer.getvalue()
    found = listing(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry, part in zip(found.entries, pets.parts(), strict=True):
            assert read_entry(archive, entry.path) == part.data


@pytest.mark.parametrize("form", ["<LLL", "<4sLLL", "<LQQ", "<4sLQQ"])
def test_every_form_of_descriptor(form: str) -> None:
    part = Part("dog/9.png", png(90), flags=0x0800 | DESCRIPTOR)
    fields = part.fields()
    values = [fields["crc"], fields["stored"], fields["size"]]
    descriptor = struct.pack(form, *([b"PK\x07\x08"] if "s" in form else []), *values)
    blank = {"crc": 0, "stored": 0, "size": 0}
    assert len(listing(pets.with_part(part.but(descriptor=descriptor, local=blank))).entries) == 13


def test_100_000_entries_are_listed_reading_each_once() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"{number % 10}/{number}.png", b"x")
    file = Counted(buffer.getvalue())
    assert len(list_images(file).entries) == 100_000
    assert file.bytes_read < 2 * len(buffer.getvalue())


def test_no_pictures() -> None:
    for content in (write_zip([]), write_zip(pets.junk()), write_zip([Part("cat/", mode=0o040755)])):
        with pytest.raises(DatasetTooSmall):
            listing(content)


def test_one_class() -> None:
    with pytest.raises(TargetInvalid, match="cat"):
        listing(pets.plain(classes=("cat",)))


def test_an_unknown_path() -> None:
    with zipfile.ZipFile(io.BytesIO(pets.plain())) as archive, pytest.raises(NotFound):
        read_entry(archive, "cat/none.png")
