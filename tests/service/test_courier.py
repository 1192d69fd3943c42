"""Errands run in the background, in order, and not for ever."""

import threading

from service.courier import MOST_WAITING, Courier


def test_errands_run_in_order_and_keep_nobody_waiting() -> None:
    courier, gate, done = Courier(), threading.Event(), []
    assert courier.rest(0.0)

    def errand(number: int) -> bool:
        gate.wait(30.0)
        done.append(number)
        return True

    for number in range(5):
        courier.send("nudge", lambda number=number: errand(number))  # type: ignore[misc]
    assert not courier.rest(0.0)
    assert done == []
    gate.set()
    assert courier.rest(30.0)
    assert done == [0, 1, 2, 3, 4]


def held_up(courier: Courier) -> threading.Event:
    """An errand that goes on until the event is set, and has been begun."""
    begun, gate = threading.Event(), threading.Event()

    def errand() -> bool:
        begun.set()
        return gate.wait(30.0)

    courier.send("held up", errand)
    assert begun.wait(30.0)
    return gate


def test_what_fails_takes_the_others_of_its_kind_along() -> None:
    courier, done = Courier(), []
    gate = held_up(courier)
    for kind, works in (("a", True), ("a", False), ("b", True), ("a", True), ("b", True)):
        courier.send(kind, lambda kind=kind, works=works: (done.append(kind), works)[1])  # type: ignore[misc]
    gate.set()
    assert courier.rest(30.0)
    assert done == ["a", "a", "b", "b"]


def test_no_kind_piles_up() -> None:
    courier, done = Courier(), []
    gate = held_up(courier)
    for _ in range(2 * MOST_WAITING):
        courier.send("nudge", lambda: not done.append("nudge"))
        courier.send("bell", lambda: not done.append("bell"), once=True)
    gate.set()
    assert courier.rest(30.0)
    assert (done.count("nudge"), done.count("bell")) == (MOST_WAITING, 1)
