"""Harmless archives of small pictures."""

from collections.abc import Sequence

from tests.corpora.pictures import png
from tests.corpora.zip_writer import Part, write_zip


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
    return write_zip([part.but(name=f"{splits[at % 3]}/{part.path}") for at, part in enumerate(members)])


def with_part(part: Part) -> bytes:
    return write_zip([*parts(), part])


def junk() -> list[Part]:
    """What Finder and Explorer leave behind: five files and a folder."""
    names = ("__MACOSX/cat/._1.png", "cat/.DS_Store", "dog/Thumbs.db", "cat/._2.png", ".DS_Store")
    return [Part("__MACOSX/", mode=0o040755), *[Part(name, b"junk") for name in names]]
