"""What the text of one cell means. Validation and the inputs of predictions read cells by these rules alone."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

MISSING: Final = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null"})
"""Spellings of "no value", in every kind of column; `None` is not among them: people mean it as a category."""
TRUE: Final = frozenset({"true", "yes"})
FALSE: Final = frozenset({"false", "no"})

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_CODE = re.compile(r"[+-]?0\d+", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST_TIME: Final = -62135596800.0
LAST_TIME: Final = 253402300799.0
"""The years 1 to 9999, but for the last second; seconds since 1970."""


def is_missing(text: str) -> bool:
    """Whether a cell has no value; spaces around do not count."""
    return text.strip() in MISSING


def parse_number(text: str) -> float | None:
    """A decimal number, with or without exponent; infinite for `inf` and beyond the range; None: no number."""
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped) or _INFINITE.fullmatch(stripped):
        return float(stripped)
    return None


def is_code(text: str) -> bool:
    """Digits with a leading zero, as postcodes have: a name written in digits, not a number."""
    return _CODE.fullmatch(text.strip()) is not None


def parse_boolean(text: str) -> float | None:
    """1.0 of `true` and `yes`, 0.0 of `false` and `no`, in any case; None: neither."""
    word = text.strip().lower()
    if word in TRUE:
        return 1.0
    return 0.0 if word in FALSE else None


def parse_switch(text: str) -> float | None:
    """As `parse_boolean`, and of `1` and `0`: for columns that are known to be boolean."""
    known = {"1": 1.0, "0": 0.0}.get(text.strip())
    return parse_boolean(text) if known is None else known


def parse_time(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 date or timestamp, to the microsecond; without an offset in UTC; or None."""
    stripped = text.strip()
    if not _TIME.fullmatch(stripped):
        return None
    try:
        moment = datetime.fromisoformat(stripped.upper().replace(",", "."))
        aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return ((aware - _EPOCH) // _MICROSECOND) / 1e6
    except (ValueError, OverflowError):  # the 30th of February; a date before year 1 in UTC
        return None


def number_text(value: float) -> str:
    """The shortest text that reads back as `value`; without a point where it is whole."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else repr(value)


def time_text(seconds: float) -> str:
    """ISO 8601 in UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=round(seconds * 1e6))).isoformat()
