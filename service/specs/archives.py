"""What an image archive holds, found without decoding a picture.

Used twice: by the API before an upload is accepted, by the control worker before it reads the pictures.
Whatever two readers could understand in two ways is rejected, nothing is repaired.
"""

import copy
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from service.errors import (
    ArchiveAmbiguous,
    ArchiveBomb,
    ArchiveEncrypted,
    ArchiveError,
    ArchiveSpecialFile,
    ArchiveUnsafePath,
    DatasetTooSmall,
    Fault,
    ImageCorrupt,
    NotFound,
    TargetInvalid,
    UnsupportedMediaType,
)
from service.specs.archive_layout import ArchiveEntry, Finding, arrange
from service.specs.archive_paths import fold_name, show_path, unsafe_reason
from service.specs.zip_members import STORED, ZipMember, check_layout, read_directory

MAX_FAULTS = 100
RATIO_ALLOWANCE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may hold; `ratio` is unpacked to packed bytes, of each entry and of all together."""

    entries: int = 200_000
    total_bytes: int = 10 * 1024**3
    ratio: int = 100
    file_bytes: int = 32 * 1024**2


DEFAULT_LIMITS = ArchiveLimits()


@dataclass(frozen=True)
class ArchiveListing:
    """The pictures of an archive in archive order, its classes sorted by name, its `metadata.csv` if it has one."""

    entries: tuple[ArchiveEntry, ...]
    classes: tuple[str, ...]
    ignored_files: int
    has_predefined_split: bool
    metadata_path: str | None


def list_images(file: IO[bytes], limits: ArchiveLimits = DEFAULT_LIMITS) -> ArchiveListing:
    """Lists the pictures of a zip of `<class>/<file>` or `(train|validation|test)/<class>/<file>`.

    One folder around everything is allowed, and `metadata.csv` beside the class folders. Reads the headers only:
    sizes and checksums are what the archive claims, `read_entry` holds it to them.

    Raises:
        UnsupportedMediaType: no zip file, or a saved model.
        ArchiveUnsafePath, ArchiveSpecialFile, ArchiveEncrypted, ArchiveBomb, ArchiveAmbiguous: not to be trusted.
        ArchiveUnexpectedFile: a file that is no picture, or lies where none is expected.
        DatasetTooSmall: no picture at all.
        TargetInvalid: fewer than two classes.
    """
    directory = read_directory(file, max_members=limits.entries)
    members = directory.members
    if any(member.name.endswith((".pkl", ".pickle")) for member in members):
        raise UnsupportedMediaType("The file is a saved model; models are not taken.")
    _check_total(members, limits)
    _raise_first(_find_member_faults(members, limits))
    _raise_first(_find_twins(members))
    check_layout(file, directory)
    arrangement = arrange(members)
    _raise_first(arrangement.findings)
    classes = _check_classes(arrangement.entries)
    return ArchiveListing(
        entries=tuple(arrangement.entries),
        classes=classes,
        ignored_files=arrangement.ignored_files,
        has_predefined_split=arrangement.has_predefined_split,
        metadata_path=arrangement.metadata_path,
    )


def read_entry(archive: zipfile.ZipFile, path: str, limits: ArchiveLimits = DEFAULT_LIMITS) -> bytes:
    """The bytes of one entry of an archive that `list_images` has passed.

    Memory is bounded by what the entry declares, whatever its data would expand to.

    Raises:
        NotFound: no entry of that path.
        ArchiveBomb: the entry declares more than `limits.file_bytes`, or holds more than it declares.
        ImageCorrupt: the data is damaged, or does not match its checksum.
    """
    member = _member_info(archive, path)
    if member.file_size > limits.file_bytes:
        raise ArchiveBomb(f"A file of the archive is larger than {limits.file_bytes} bytes.")
    unchecked = copy.copy(member)
    unchecked.file_size += 1  # zipfile cuts silently at the declared size: ask for one byte more
    del unchecked.CRC
    try:
        with archive.open(unchecked) as stream:
            content = stream.read(unchecked.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise ImageCorrupt("A file of the archive cannot be unpacked.") from error
    if len(content) > member.file_size:
        raise ArchiveBomb("A file of the archive is larger than it declares.")
    if len(content) < member.file_size or zlib.crc32(content) != member.CRC:
        raise ImageCorrupt("A file of the archive does not match its checksum.")
    return content


def _member_info(archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
    for name in (path, path.encode().decode("cp437")):  # zipfile reads unmarked UTF-8 names as code page 437
        if name in archive.NameToInfo:
            return archive.getinfo(name)
    raise NotFound("The archive has no such file.")


def _check_total(members: Sequence[ZipMember], limits: ArchiveLimits) -> None:
    size = sum(member.size_bytes for member in members)
    stored = sum(member.stored_bytes for member in members)
    if size > limits.total_bytes:
        raise ArchiveBomb(f"The archive unpacks to more than {limits.total_bytes} bytes.")
    if size > stored * limits.ratio + RATIO_ALLOWANCE_BYTES:
        raise ArchiveBomb(f"The archive unpacks to more than {limits.ratio} times its size.")


def _find_member_faults(members: Sequence[ZipMember], limits: ArchiveLimits) -> Iterator[Finding]:
    for index, member in enumerate(members):
        if reason := unsafe_reason(member.name):
            yield ArchiveUnsafePath, index, f"The path {show_path(member.name)} {reason}."
        elif not _is_regular(member):
            yield ArchiveSpecialFile, index, f"{show_path(member.name)} is neither a file nor a folder."
        elif member.is_encrypted:
            yield ArchiveEncrypted, index, f"{show_path(member.name)} is encrypted."
        elif member.size_bytes > limits.file_bytes:
            yield ArchiveBomb, index, f"{show_path(member.name)} is larger than {limits.file_bytes} bytes."
        elif member.size_bytes > member.stored_bytes * limits.ratio + RATIO_ALLOWANCE_BYTES:
            yield ArchiveBomb, index, f"{show_path(member.name)} unpacks to more than {limits.ratio} times its size."
        elif member.size_bytes and member.is_folder:
            yield ArchiveAmbiguous, index, f"{show_path(member.name)} is a folder with contents of its own."
        elif member.method == STORED and member.size_bytes != member.stored_bytes:
            yield ArchiveAmbiguous, index, f"{show_path(member.name)} has two sizes."


def _is_regular(member: ZipMember) -> bool:
    kind = stat.S_IFMT(member.unix_mode)
    if member.is_folder:
        return kind in (0, stat.S_IFDIR)
    return kind in (0, stat.S_IFREG) and not member.dos_attributes & (
        stat.FILE_ATTRIBUTE_DIRECTORY | 0x08  # 0x08: a volume label
    )


def _find_twins(members: Sequence[ZipMember]) -> Iterator[Finding]:
    """Paths that are the same, that some file system takes for the same, or that are file and folder at once."""
    listed: set[str] = set()
    folders: set[str] = set()
    spelling: dict[str, str] = {}
    for index, member in enumerate(members):
        path = member.name.removesuffix("/")
        readings = {path, member.name_as_code_page.removesuffix("/")}
        if not listed.isdisjoint(readings):
            yield ArchiveAmbiguous, index, f"{show_path(path)} occurs twice."
        listed |= readings
        new = [path]
        while "/" in path and (path := path.rpartition("/")[0]) not in folders:
            folders.add(path)
            new.append(path)
        for name in new:
            key = "/".join(map(fold_name, name.split("/")))
            if spelling.setdefault(key, name) != name:
                yield ArchiveAmbiguous, index, f"{show_path(name)} differs from another path by its spelling only."
    for index, member in enumerate(members):
        if not member.is_folder and member.name in folders:
            yield ArchiveAmbiguous, index, f"{show_path(member.name)} is a file and a folder."


def _check_classes(entries: Sequence[ArchiveEntry]) -> tuple[str, ...]:
    if not entries:
        raise DatasetTooSmall("The archive holds no pictures.")
    classes = tuple(sorted({entry.label for entry in entries}))
    spelling: dict[str, str] = {}
    for folder in {entry.path.split("/")[-2] for entry in entries}:
        if spelling.setdefault(fold_name(folder), folder) != folder:
            raise ArchiveAmbiguous(f"The class {show_path(folder)} is spelled in two ways.")
    if len(classes) < 2:
        message = f"Every picture belongs to the class {show_path(classes[0])}; at least two classes are needed."
        raise TargetInvalid(message)
    return classes


def _raise_first(findings: Iterable[Finding]) -> None:
    """Raises the first finding's error, with up to `MAX_FAULTS` findings listed in it."""
    first: type[ArchiveError] | None = None
    faults: list[Fault] = []
    for error, index, message in findings:
        first = first or error
        faults.append(Fault(("file", index), error.slug, message))
        if len(faults) == MAX_FAULTS:
            break
    if first:
        raise first(f"{first.title}.", errors=faults)
