"""How often a key may ask (S08): a bucket that refills evenly, on a clock of the test's own."""

import pytest

from service.errors import RateLimited, TooManyStreams
from service.rates import KEPT_BUCKETS, Rates, Slots


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_s08_a_burst_is_taken_and_refills_evenly() -> None:
    clock = Clock()
    rates = Rates(requests=6, window_seconds=60, clock=clock)
    left = [rates.take("a")["RateLimit"] for _ in range(6)]
    assert left[0] == '"key";r=5;t=10'
    assert left[-1] == '"key";r=0;t=60'
    with pytest.raises(RateLimited) as caught:
        rates.take("a")
    assert caught.value.retry_after_seconds == 10
    clock.now += 9.0
    with pytest.raises(RateLimited) as caught:
        rates.take("a")
    assert caught.value.retry_after_seconds == 1
    clock.now += 1.0
    assert rates.take("a") == {"RateLimit-Policy": '"key";q=6;w=60', "RateLimit": '"key";r=0;t=60'}
    clock.now += 10_000.0
    assert rates.take("a")["RateLimit"] == '"key";r=5;t=10'


def test_s08_keys_have_buckets_of_their_own() -> None:
    rates = Rates(requests=1, window_seconds=60, clock=Clock())
    rates.take("a")
    rates.take("b")
    with pytest.raises(RateLimited):
        rates.take("a")


def test_s08_full_buckets_are_forgotten() -> None:
    clock = Clock()
    rates = Rates(requests=2, window_seconds=1, clock=clock)
    for number in range(KEPT_BUCKETS):
        rates.take(str(number))
    clock.now += 0.75
    rates.take("late")
    rates.take("late")
    assert set(rates._buckets) == {"late"}
    with pytest.raises(RateLimited):
        rates.take("late")


def test_s10_slots_are_given_back() -> None:
    slots = Slots(limit=2)
    slots.take("a")
    slots.take("a")
    slots.take("b")
    with pytest.raises(TooManyStreams):
        slots.take("a")
    slots.give_back("a")
    slots.take("a")
    for key in ("a", "a", "b"):
        slots.give_back(key)
    assert slots._held == {}
