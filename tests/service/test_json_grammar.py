"""JSON by grammar (S13): what is right is read as it was meant, what is not is refused as one thing."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import MalformedJson
from service.routing import MAX_DEPTH, parse_json
from service.specs.strict_json import MAX_INTEGER_DIGITS

scalars = (
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
spaces = st.sampled_from(["", " ", "\n", "\t \r\n"])


@given(values, st.booleans(), spaces)
@settings(max_examples=60, deadline=None)
def test_s13_what_is_written_is_read(value: Any, escaped: bool, space: str) -> None:
    text = space + json.dumps(value, ensure_ascii=escaped, separators=("," + space, ":" + space)) + space
    assert parse_json(text.encode()) == value


@given(values, st.data())
@settings(max_examples=60, deadline=None)
def test_s13_damaged_text_is_read_or_refused_as_one_thing(value: Any, data: st.DataObject) -> None:
    whole = json.dumps(value).encode()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=4)) + whole[stop:]
    with suppress(MalformedJson):
        json.dumps(parse_json(damaged))


@given(values, values, st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(0, MAX_DEPTH - 12))
@settings(max_examples=30, deadline=None)
def test_s13_a_key_twice_is_refused_wherever_it_stands(first: Any, second: Any, key: str, depth: int) -> None:
    inner = f"{{{json.dumps(key)}: {json.dumps(first)}, {json.dumps(key)}: {json.dumps(second)}}}"
    with pytest.raises(MalformedJson):
        parse_json((depth * '{"a": [' + inner + depth * "]}").encode())


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 100_000])
def test_s13_depth(opening: str, depth: int) -> None:
    text = opening * depth + "1" + {"[": "]", '{"a":': "}"}[opening] * depth
    if depth <= MAX_DEPTH:
        parse_json(text.encode())
    else:
        with pytest.raises(MalformedJson):
            parse_json(text.encode())


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [MAX_INTEGER_DIGITS - 1, MAX_INTEGER_DIGITS, MAX_INTEGER_DIGITS + 1, 5000])
def test_s13_digits(sign: str, digits: int) -> None:
    text = sign + "9" * digits
    if digits <= MAX_INTEGER_DIGITS:
        assert parse_json(text.encode()) == int(text)
    else:
        with pytest.raises(MalformedJson):
            parse_json(text.encode())
