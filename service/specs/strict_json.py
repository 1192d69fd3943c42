"""JSON without what RFC 8259 merely permits: no key twice in an object, no NaN, no huge integer, no deep nesting."""

import json
from collections.abc import Iterable
from typing import Any

MAX_INTEGER_DIGITS = 19


class NotStrict(ValueError):
    """JSON that breaks a rule of ours; the message goes on after what it is about: "The body …"."""


def read_json(data: bytes, *, max_depth: int, constants: bool = False) -> Any:
    """The value of UTF-8 text; `max_depth` counts objects and lists within each other.

    With `constants`, NaN and infinity are let pass, for whoever names the field that holds them.

    Raises:
        NotStrict: a rule is broken.
        ValueError: it is no JSON, or no UTF-8.
    """
    refuse = None if constants else _no_constant
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_int=_bounded_integer, parse_constant=refuse)
    except RecursionError as error:
        raise NotStrict(f"is nested deeper than {max_depth} levels") from error
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list)]
    if level:
        raise NotStrict(f"is nested deeper than {max_depth} levels")
    return value


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict("names a key twice in one object")
    return found


def _bounded_integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_INTEGER_DIGITS:
        raise NotStrict(f"holds an integer of more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _no_constant(constant: str) -> None:
    raise NotStrict(f"holds {constant}, which is no number of JSON")
