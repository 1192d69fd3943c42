"""How an archive's folders give each picture its class and its split."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.errors import ArchiveError, ArchiveUnexpectedFile
from service.specs.archive_paths import is_junk, show_path
from service.specs.datasets import SPLITS, Split
from service.specs.zip_members import ZipMember

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
METADATA_FILE = "metadata.csv"
Finding = tuple[type[ArchiveError], int, str]  # what is wrong, with which entry, in words


@dataclass(frozen=True)
class ArchiveEntry:
    """One picture: its path in the archive, its class (NFC), the split that its folder names."""

    path: str
    label: str
    split: Split | None
    size_bytes: int


@dataclass
class Arrangement:
    """The pictures in archive order, the file that says more of them, and whatever does not belong among them."""

    entries: list[ArchiveEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    ignored_files: int = 0
    has_predefined_split: bool = False
    metadata_path: str | None = None


@dataclass(frozen=True)
class _File:
    index: int
    path: str
    parts: tuple[str, ...]
    size_bytes: int


def arrange(members: Sequence[ZipMember]) -> Arrangement:
    """Gives every file of `<class>/<file>` or `<split>/<class>/<file>` its class and split.

    A folder that holds everything else is no class: it is passed over, unless it is called like a split. As soon
    as one folder is called like a split, all must be. `metadata.csv` may lie beside these folders.
    """
    files = [
        _File(index, member.name, tuple(member.name.split("/")), member.size_bytes)
        for index, member in enumerate(members)
        if not member.is_folder
    ]
    wanted = [file for file in files if not is_junk(file.parts)]
    above = 1 if _is_wrapped(wanted) else 0
    metadata_path = next((file.path for file in wanted if file.parts[above:] == (METADATA_FILE,)), None)
    pictures = [file for file in wanted if file.path != metadata_path]
    predefined = any(len(file.parts) > above + 1 and file.parts[above] in SPLITS for file in pictures)
    arrangement = Arrangement(
        ignored_files=len(files) - len(wanted), has_predefined_split=predefined, metadata_path=metadata_path
    )
    for file in pictures:
        inner = file.parts[above:]
        reason = _misplaced(inner, predefined=predefined)
        if reason:
            arrangement.findings.append((ArchiveUnexpectedFile, file.index, f"{show_path(file.path)} {reason}."))
        else:
            arrangement.entries.append(_entry(file, inner))
    return arrangement


def _entry(file: _File, inner: tuple[str, ...]) -> ArchiveEntry:
    named = next((split for split in SPLITS if len(inner) == 3 and split == inner[0]), None)
    return ArchiveEntry(file.path, unicodedata.normalize("NFC", inner[-2]), named, file.size_bytes)


def _is_wrapped(files: Sequence[_File]) -> bool:
    roots = {file.parts[0] for file in files}
    deep = all(len(file.parts) > 2 or file.parts[1:] == (METADATA_FILE,) for file in files)
    return len(roots) == 1 and roots.isdisjoint(SPLITS) and deep


def _misplaced(inner: tuple[str, ...], *, predefined: bool) -> str | None:
    if not inner[-1].lower().endswith(IMAGE_EXTENSIONS):
        return "is not a .jpg, .jpeg, .png or .webp file"
    if len(inner) == 1:
        return "lies outside of any class folder"
    if predefined and inner[0] not in SPLITS:
        return f"lies beside the split folders, which are called {', '.join(SPLITS)}"
    if predefined and len(inner) == 2:
        return "lies in a split folder, outside of any class folder"
    if len(inner) > (3 if predefined else 2):
        return "lies deeper than <class>/<file>; split folders are called " + ", ".join(SPLITS)
    return None
