"""When samples were taken, read from the text of a column."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoTime(ValueError):
    """The value at `position` is missing or no time."""

    def __init__(self, position: int) -> None:
        super().__init__(f"value {position} is no time")
        self.position = position


def parse_times(values: Sequence[str | None]) -> list[Decimal]:
    """Numbers as they are, or dates and timestamps of ISO 8601 as microseconds since 1970, without rounding.

    The first value decides which of the two the column holds. Without an offset a timestamp is in UTC.

    Raises:
        NoTime: naming the first value that is missing or not of that kind.
    """
    numbers = bool(values) and _NUMBER.fullmatch(values[0] or "") is not None
    return [_time(value, position, numbers=numbers) for position, value in enumerate(values)]


def _time(value: str | None, position: int, *, numbers: bool) -> Decimal:
    text = (value or "").strip()
    if bool(_NUMBER.fullmatch(text)) != numbers:
        raise NoTime(position)
    if numbers:
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NoTime(position) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Decimal((aware - _EPOCH) // timedelta(microseconds=1))
