import math
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.specs.cell_values import (
    is_code,
    is_missing,
    number_text,
    parse_boolean,
    parse_number,
    parse_switch,
    parse_time,
    time_text,
)


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1.", ".5", " 2 ", "1e3", "1E-3", "-1.5e+10", "007"])
def test_numbers(text: str) -> None:
    assert parse_number(text) == float(Fraction(text.strip().rstrip(".")))


@pytest.mark.parametrize(
    "text", ["", ".", "e5", "1_000", "1,5", "0x10", "1 000", "٣", "½", "--1", "1e", "nan", "$1", "1%"]
)
def test_no_numbers(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999", "+INF"])
def test_infinite_numbers_are_told_from_text(text: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert math.isinf(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_their_text(number: float) -> None:
    assert parse_number(number_text(number)) == number


def test_whole_numbers_have_no_point() -> None:
    texts = [number_text(value) for value in (3.0, -0.0, 0.5, 1e15, 1e300)]
    assert texts == ["3", "0", "0.5", "1000000000000000", "1e+300"]


def test_codes_have_leading_zeros() -> None:
    assert [is_code(text) for text in ("007", "01", "0", "0.5", "10", "00.5")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_booleans() -> None:
    words = ["true", "FALSE", "Yes", "no", "1", "0", "t", "maybe"]
    assert [parse_boolean(word) for word in words] == [1.0, 0.0, 1.0, 0.0, None, None, None, None]
    assert [parse_switch(word) for word in words] == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, None, None]


TIMES = {
    "1970-01-01": 0.0,
    "1970-01-02T00:00:01": 86401.0,
    "1970-01-01 00:00:01.250000": 1.25,
    "1970-01-01T01:00+01:00": 0.0,
    "1970-01-01T00:00:00Z": 0.0,
    "1970-01-01t00:00:00.5z": 0.5,
    "1969-12-31T23:59:59": -1.0,
    "2024-02-29": datetime(2024, 2, 29, tzinfo=UTC).timestamp(),
}


@pytest.mark.parametrize("text", TIMES)
def test_times(text: str) -> None:
    assert parse_time(text) == TIMES[text]


@pytest.mark.parametrize("text", ["", "2023-02-29", "20240101", "2024-W01-1", "01/02/2024", "2024-1-1", "12:30", "2024",
                                  "2024-01-01T25:00", "0001-01-01T00:00+23:59", "2024-01-01T"])  # fmt: skip
def test_no_times(text: str) -> None:
    assert parse_time(text) is None


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001
def test_times_survive_their_text(moment: datetime) -> None:
    seconds = moment.replace(tzinfo=UTC).timestamp()
    assert parse_time(moment.isoformat()) == pytest.approx(seconds, abs=1e-6)
    assert parse_time(time_text(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_missing() -> None:
    assert all(map(is_missing, ["", "  ", "NA", "NaN", "null", " N/A "]))
    assert not any(map(is_missing, ["0", "None", "Nan", "-", "?"]))
