"""S22: names that are the same to some reader; S23: files that do not belong there."""

from tests.corpora.pets import parts, plain, with_part
from tests.corpora.pictures import png
from tests.corpora.zip_writer import Part, write_zip

Case = tuple[bytes, str]
AMBIGUOUS, UNEXPECTED = "archive-ambiguous", "archive-unexpected-file"


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
