from datetime import UTC, datetime
from decimal import Decimal

import pytest

from worker.data.sample_times import NoTime, parse_times


def test_numbers_keep_every_digit() -> None:
    assert parse_times(["1700000000000000001", "1700000000000000002", "-.5e3"]) == [
        Decimal(1700000000000000001),
        Decimal(1700000000000000002),
        Decimal(-500),
    ]


def test_dates_and_timestamps_are_on_one_clock() -> None:
    texts = ["2024-03-01", "2024-03-01T01:00:00+01:00", "2024-03-01 00:00:00.000001", "1969-12-31T23:59:59Z"]
    midnight = Decimal(int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000)
    assert parse_times(texts) == [midnight, midnight, midnight + 1, Decimal(-1_000_000)]


@pytest.mark.parametrize(
    ("values", "position"),
    [
        (["1", "2", None], 2),
        ([None, "1"], 0),
        (["1", "2024-01-01"], 1),
        (["2024-01-01", "1"], 1),
        (["2024-01-01", "2024-13-01"], 1),
        (["nan"], 0),
        (["1", "inf"], 1),
        (["1", "1_000"], 1),
        (["1", "1e9999999"], 1),
        (["yesterday"], 0),
    ],
)
def test_the_first_value_that_is_no_time_is_named(values: list[str | None], position: int) -> None:
    with pytest.raises(NoTime) as caught:
        parse_times(values)
    assert caught.value.position == position
