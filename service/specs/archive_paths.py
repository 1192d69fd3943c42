"""Which paths a dataset archive may hold. Paths are judged, never repaired."""

import re
import unicodedata

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255
MAX_SHOWN = 120

JUNK_FOLDER = "__MACOSX"
JUNK_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
JUNK_PREFIX = "._"

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def unsafe_reason(path: str) -> str | None:
    """Why `path`, as it stands in an archive, must not be taken; None where it is safe."""
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute"
    if "\\" in path:
        return "contains a backslash"
    if _CONTROL.search(path):
        return "contains a control character"
    if _BIDI.search(path):
        return "contains a character that changes the reading direction"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return _unsafe_part(path.removesuffix("/").split("/"))


def _unsafe_part(parts: list[str]) -> str | None:
    for part in parts:
        if not part:
            return "has an empty part"
        if part in (".", ".."):
            return "contains . or .. as a part"
        if len(part) > MAX_PART_BYTES or len(part.encode()) > MAX_PART_BYTES:
            return f"has a part longer than {MAX_PART_BYTES} bytes"
    return None


def is_junk(parts: tuple[str, ...]) -> bool:
    """Whether an operating system left this file behind by itself."""
    return JUNK_FOLDER in parts or parts[-1].lower() in JUNK_FILES or parts[-1].startswith(JUNK_PREFIX)


def fold_name(name: str) -> str:
    """One key for all names that some file system takes for the same.

    Upper and lower case, composed and decomposed characters, invisible characters, trailing dots and spaces
    make no difference.
    """
    if not name.isascii():
        visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
        name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold())
    return name.lower().rstrip(". ")


def show_path(path: str) -> str:
    """`path` made safe to print: invisible characters escaped, cut to `MAX_SHOWN` characters."""
    shown = repr(path[: MAX_SHOWN + 1])[1:-1]
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
