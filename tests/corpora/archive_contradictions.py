"""S22: archives whose parts contradict each other, or that hide data between them."""

import struct

from tests.corpora.pets import parts, plain, with_part
from tests.corpora.pictures import png
from tests.corpora.zip_writer import DESCRIPTOR, Part, write_zip

Case = tuple[bytes, str]
AMBIGUOUS = "archive-ambiguous"


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


def s22_offset_beyond_the_file() -> Case:
    extra = struct.pack("<HHQ", 1, 8, 2**63 + 5)
    return with_part(Part("dog/9.png", png(90), central={"offset": 0xFFFFFFFF, "extra": extra})), AMBIGUOUS
