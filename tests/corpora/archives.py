"""Zip archives by rule: what `s19_…` to `s23_…` build is hostile and comes with the slug it must meet.

Each is a harmless data set but for one thing. The other functions build the harmless ones.
"""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence

from tests.corpora.images import png
from tests.corpora.zip_writer import DESCRIPTOR, ENCRYPTED, Part, deflate, local_header, write_zip

Case = tuple[bytes, str]
UNSAFE, SPECIAL, BOMB = "archive-unsafe-path", "archive-special-file", "archive-bomb"
AMBIGUOUS, UNEXPECTED = "archive-ambiguous", "archive-unexpected-file"


def cases(rule: str) -> dict[str, Callable[[], Case]]:
    """All builders of one rule, such as `s19`, by name."""
    return {name: builder for name, builder in globals().items() if name.startswith(f"{rule}_")}


def parts(classes: Sequence[str] = ("cat", "dog"), each: int = 6, root: str = "") -> list[Part]:
    """`each` distinct pictures in each class."""
    return [
        Part(f"{root}{name}/{number}.png", png(place * each + number))
        for place, name in enumerate(classes)
        for number in range(each)
    ]


def plain(classes: Sequence[str] = ("cat", "dog"), each: int = 6) -> bytes:
    return write_zip(parts(classes, each))


def predefined(classes: Sequence[str] = ("cat", "dog"), each: int = 6) -> bytes:
    """Every class in each split, no picture twice."""
    members = parts(classes, each)
    splits = ("train", "validation", "test")
    return write_zip([part.but(name=f"{splits[at % 3]}/{part.name}") for at, part in enumerate(members)])


def with_part(part: Part) -> bytes:
    return write_zip([*parts(), part])


# --- S19: paths


def s19_zip_slip() -> Case:
    return with_part(Part("../../evil.png", png(90))), UNSAFE


def s19_parent_inside() -> Case:
    return with_part(Part("cat/../dog/9.png", png(90))), UNSAFE


def s19_this_folder() -> Case:
    return with_part(Part("./cat/9.png", png(90))), UNSAFE


def s19_absolute() -> Case:
    return with_part(Part("/etc/9.png", png(90))), UNSAFE


def s19_drive_letter() -> Case:
    return with_part(Part("C:/cat/9.png", png(90))), UNSAFE


def s19_drive_relative() -> Case:
    return with_part(Part("c:9.png", png(90))), UNSAFE


def s19_backslash() -> Case:
    return with_part(Part("cat\\9.png", png(90))), UNSAFE


def s19_backslash_parent() -> Case:
    return with_part(Part("cat/..\\..\\9.png", png(90))), UNSAFE


def s19_network_share() -> Case:
    return with_part(Part("//host/share/9.png", png(90))), UNSAFE


def s19_nul() -> Case:
    return with_part(Part("cat/9.png\x00.exe", png(90))), UNSAFE


def s19_newline() -> Case:
    return with_part(Part("cat/9\n.png", png(90))), UNSAFE


def s19_escape() -> Case:
    return with_part(Part("cat/\x1b[2J.png", png(90))), UNSAFE


def s19_bidi_override() -> Case:
    return with_part(Part("cat/\u202egnp.exe.png", png(90))), UNSAFE


def s19_bidi_isolate() -> Case:
    return with_part(Part("c\u2066at/9.png", png(90))), UNSAFE


def s19_empty_part() -> Case:
    return with_part(Part("cat//9.png", png(90))), UNSAFE


def s19_no_name() -> Case:
    return with_part(Part("", png(90))), UNSAFE


def s19_long_part() -> Case:
    return with_part(Part("cat/" + "a" * 300 + ".png", png(90))), UNSAFE


def s19_long_path() -> Case:
    return with_part(Part("a/" * 3000 + "9.png", png(90))), UNSAFE


def s19_in_junk() -> Case:
    return with_part(Part("__MACOSX/../../evil.png", png(90))), UNSAFE


# --- S20: special files, encryption, other archives


def s20_symlink() -> Case:
    return with_part(Part("cat/9.png", b"/etc/passwd", mode=0o120777)), SPECIAL


def s20_device() -> Case:
    return with_part(Part("cat/9.png", b"", mode=0o020666)), SPECIAL


def s20_pipe() -> Case:
    return with_part(Part("cat/9.png", b"", mode=0o010644)), SPECIAL


def s20_folder_link() -> Case:
    return with_part(Part("cat/", b"", mode=0o120777)), SPECIAL


def s20_folder_without_slash() -> Case:
    return with_part(Part("cat", b"", mode=0o040755)), SPECIAL


def s20_encrypted() -> Case:
    return with_part(Part("cat/9.png", png(90), flags=0x0800 | ENCRYPTED)), "archive-encrypted"


def s20_encrypted_aes() -> Case:
    part = Part(
        "cat/9.png", png(90), flags=0x0800 | ENCRYPTED, extra=struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 8)
    )
    return with_part(part.but(local={"method": 99}, central={"method": 99})), "archive-encrypted"


def s20_encrypted_directory() -> Case:
    return with_part(Part("cat/9.png", png(90), flags=0x2841)), "archive-encrypted"


def s20_tar() -> Case:
    return _tar("w"), "unsupported-media-type"


def s20_tar_gz() -> Case:
    return _tar("w:gz"), "unsupported-media-type"


def s20_rar() -> Case:
    return b"Rar!\x1a\x07\x01\x00" + b"\x00" * 200, "unsupported-media-type"


def s20_7z() -> Case:
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + b"\x00" * 200, "unsupported-media-type"


def s20_empty() -> Case:
    return b"", "unsupported-media-type"


def s20_a_picture() -> Case:
    return png(), "unsupported-media-type"


# --- S21: bombs


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
    return write_zip([part] + [Part(f"dog/{n}.png", part.data, central={"offset": 0}) for n in range(3)]), BOMB


def s21_quoted_overlap() -> Case:
    """The first entry's data holds the second entry's header (Fifield 2019, CVE-2024-0450)."""
    inner = Part("dog/0.png", png())
    inside = local_header(inner) + inner.data
    outer = Part("cat/0.png", inside)
    start = len(local_header(outer))
    content = write_zip([outer, inner.but(central={"offset": start})])
    return content.replace(inside + inside, inside), BOMB


def s21_beyond_the_directory() -> Case:
    last = Part("dog/9.png", png(90))
    longer = {"stored": len(last.data) + 40, "size": len(last.data) + 40}
    return with_part(last.but(local=longer, central=longer)), BOMB


def s21_offset_beyond_the_file() -> Case:
    extra = struct.pack("<HHQ", 1, 8, 2**63 + 5)
    return with_part(Part("dog/9.png", png(90), central={"offset": 0xFFFFFFFF, "extra": extra})), BOMB


# --- S22: two readings


def s22_same_name_twice() -> Case:
    return with_part(Part("cat/1.png", png(90))), AMBIGUOUS


def s22_upper_case_file() -> Case:
    return with_part(Part("cat/1.PNG", png(90))), AMBIGUOUS


def s22_upper_case_folder() -> Case:
    return with_part(Part("Cat/9.png", png(90))), AMBIGUOUS


def s22_upper_case_class_in_another_split() -> Case:
    names = ("train/cat/1.png", "train/dog/1.png", "test/Cat/1.png", "test/dog/2.png")
    return write_zip([Part(name, png(n)) for n, name in enumerate(names)]), AMBIGUOUS


def s22_sharp_s() -> Case:
    return write_zip([Part("straße/1.png", png()), Part("STRASSE/2.png", png(1))]), AMBIGUOUS


def s22_composed_and_decomposed() -> Case:
    return write_zip([Part("caf\u00e9/1.png", png()), Part("cafe\u0301/2.png", png(1))]), AMBIGUOUS


def s22_composed_and_decomposed_in_two_splits() -> Case:
    names = ("train/caf\u00e9/1.png", "train/dog/1.png", "test/cafe\u0301/1.png")
    return write_zip([Part(name, png(n)) for n, name in enumerate(names)]), AMBIGUOUS


def s22_invisible_character() -> Case:
    return with_part(Part("ca\u200bt/9.png", png(90))), AMBIGUOUS


def s22_trailing_dot() -> Case:
    return with_part(Part("cat./9.png", png(90))), AMBIGUOUS


def s22_file_and_folder() -> Case:
    return with_part(Part("cat/1.png/9.png", png(90))), AMBIGUOUS


def s22_folder_twice() -> Case:
    folder = Part("cat/", mode=0o040755)
    return write_zip([folder, *parts(), folder]), AMBIGUOUS


def s22_folder_with_contents() -> Case:
    return with_part(Part("bird/", png(90), mode=0o040755)), AMBIGUOUS


def s22_code_page_twin() -> Case:
    """One reader's unmarked `é` is another one's marked `├⌐`."""
    twins = Part("é/1.png", png(90), flags=0), Part("é/1.png".encode().decode("cp437"), png(91))
    return write_zip([*parts(), *twins]), AMBIGUOUS


def s22_name_not_utf8() -> Case:
    return with_part(Part(b"caf\xe9/1.png", png(90))), AMBIGUOUS


def s22_second_name_in_an_extra_field() -> Case:
    extra = struct.pack("<HHBL", 0x7075, 5 + 10, 1, 0) + b"bird/1.png"
    return with_part(Part("dog/9.png", png(90), central={"extra": extra})), AMBIGUOUS


def s22_other_name_in_front() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"name": b"cat/9.png"})), AMBIGUOUS


def s22_other_size_in_front() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"size": 5, "stored": 5})), AMBIGUOUS


def s22_other_checksum_in_front() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"crc": 5})), AMBIGUOUS


def s22_other_method_in_front() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"method": 8})), AMBIGUOUS


def s22_other_flags_in_front() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"flags": 0})), AMBIGUOUS


def s22_no_header_in_front() -> Case:
    content = plain()
    at = content.rindex(b"PK\x03\x04")
    return content[:at] + b"XX" + content[at + 2 :], AMBIGUOUS


def s22_stored_with_two_sizes() -> Case:
    sizes = {"size": 20}
    return with_part(Part("dog/9.png", png(90), local=sizes, central=sizes)), AMBIGUOUS


def s22_wrong_descriptor() -> Case:
    data = png(90)
    wrong = struct.pack("<4sLLL", b"PK\x07\x08", 1, len(data), len(data))
    return with_part(Part("dog/9.png", data, flags=0x0800 | DESCRIPTOR, descriptor=wrong)), AMBIGUOUS


def s22_descriptor_missing() -> Case:
    return with_part(Part("dog/9.png", png(90), flags=0x0800 | DESCRIPTOR)), AMBIGUOUS


def s22_bzip2() -> Case:
    return with_part(Part("dog/9.png", png(90), local={"method": 12}, central={"method": 12})), AMBIGUOUS


def s22_data_in_front() -> Case:
    return b"#!/bin/sh\n" + plain(), AMBIGUOUS


def s22_data_in_front_with_offsets() -> Case:
    return write_zip(parts(), prefix=b"#!/bin/sh\n"), AMBIGUOUS


def s22_picture_in_front() -> Case:
    return png() + plain(), AMBIGUOUS


def s22_data_between() -> Case:
    return with_part(Part("dog/9.png", png(90), gap=b"hidden")), AMBIGUOUS


def s22_data_before_the_directory() -> Case:
    return write_zip(parts(), before_directory=b"hidden"), AMBIGUOUS


def s22_data_behind() -> Case:
    return plain() + b"hidden", AMBIGUOUS


def s22_two_archives() -> Case:
    return plain() + plain(), AMBIGUOUS


def s22_end_record_in_the_comment() -> Case:
    return write_zip(parts(), comment=b"PK\x05\x06" + bytes(18)), AMBIGUOUS


def s22_comment_too_long() -> Case:
    return write_zip(parts(), comment=b"hello", suffix=b"more"), AMBIGUOUS


def s22_cut_short() -> Case:
    return plain()[:-30], AMBIGUOUS


def s22_wrong_count() -> Case:
    return write_zip(parts(), here=3, members=3), AMBIGUOUS


def s22_count_too_high() -> Case:
    return write_zip(parts(), here=20, members=20), AMBIGUOUS


def s22_wrong_directory_offset() -> Case:
    return write_zip(parts(), offset=40), AMBIGUOUS


def s22_several_volumes() -> Case:
    return write_zip(parts(), disk=1), AMBIGUOUS


def s22_entry_in_another_volume() -> Case:
    return with_part(Part("dog/9.png", png(90), central={"disk": 1})), AMBIGUOUS


def s22_zip64_count() -> Case:
    return write_zip(parts(), zip64={"here": 3, "members": 3}), AMBIGUOUS


def s22_zip64_offset() -> Case:
    return write_zip(parts(), zip64={"offset": 7}, offset=0xFFFFFFFF), AMBIGUOUS


def s22_zip64_elsewhere() -> Case:
    return write_zip(parts(), zip64={"record_at": 0}), AMBIGUOUS


def s22_zip64_size_field() -> Case:
    extra = struct.pack("<HHQQ", 1, 16, 5, 5)
    return with_part(Part("dog/9.png", png(90), central={"extra": extra})), AMBIGUOUS


def s22_zip64_field_twice() -> Case:
    data = png(90)
    extra = struct.pack("<HHQ", 1, 8, len(data)) * 2
    return with_part(Part("dog/9.png", data, central={"size": 0xFFFFFFFF, "extra": extra})), AMBIGUOUS


def s22_broken_extra_field() -> Case:
    return with_part(Part("dog/9.png", png(90), central={"extra": b"\x01\x00\xff\xff1"})), AMBIGUOUS


# --- S23: what does not belong there


def s23_zip_in_zip() -> Case:
    return with_part(Part("dog/more.zip", plain())), UNEXPECTED


def s23_text() -> Case:
    return with_part(Part("dog/notes.txt", b"hello")), UNEXPECTED


def s23_page() -> Case:
    return with_part(Part("dog/9.png.html", b"<script>")), UNEXPECTED


def s23_vector_graphic() -> Case:
    return with_part(Part("dog/9.svg", b"<svg/>")), UNEXPECTED


def s23_no_extension() -> Case:
    return with_part(Part("dog/9", png(90))), UNEXPECTED


def s23_top_level() -> Case:
    return with_part(Part("9.png", png(90))), UNEXPECTED


def s23_too_deep() -> Case:
    return with_part(Part("dog/puppies/9.png", png(90))), UNEXPECTED


def s23_split_folders_and_classes() -> Case:
    return with_part(Part("train/cat/9.png", png(90))), UNEXPECTED


def s23_split_folders_without_classes() -> Case:
    return write_zip([Part(f"{split}/{n}.png", png(n)) for n, split in enumerate(("train", "test"))]), UNEXPECTED


def s23_wrapped_split_folders_without_classes() -> Case:
    return write_zip([Part(f"d/{split}/{n}.png", png(n)) for n, split in enumerate(("train", "test"))]), UNEXPECTED


def s23_split_folder_by_another_name() -> Case:
    return write_zip([*parts(root="train/"), *parts(root="val/")]), UNEXPECTED


def s23_split_around_splits() -> Case:
    return write_zip([*parts(root="test/train/"), *parts(root="test/test/")]), UNEXPECTED


def s34_saved_model() -> Case:
    """What `torch.save` writes is a zip file with a pickle in it."""
    members = [
        Part("archive/data.pkl", b"\x80\x02}."),
        Part("archive/version", b"3\n"),
        Part("archive/data/0", b"1234"),
    ]
    return write_zip(members), "unsupported-media-type"


def s34_pickle() -> Case:
    return b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.", "unsupported-media-type"


# --- what only shows once entries are read


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


def junk() -> list[Part]:
    """What Finder and Explorer leave behind: five files and a folder."""
    names = ("__MACOSX/cat/._1.png", "cat/.DS_Store", "dog/Thumbs.db", "cat/._2.png", ".DS_Store")
    return [Part("__MACOSX/", mode=0o040755), *[Part(name, b"junk") for name in names]]


def _tar(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for part in parts():
            info = tarfile.TarInfo(str(part.name))
            info.size = len(part.data)
            archive.addfile(info, io.BytesIO(part.data))
    return buffer.getvalue()
