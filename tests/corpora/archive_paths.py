"""S19: paths that lead elsewhere, or look as if they did."""

from tests.corpora.pets import with_part
from tests.corpora.pictures import png
from tests.corpora.zip_writer import Part

Case = tuple[bytes, str]
UNSAFE = "archive-unsafe-path"


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
