"""Forwards side by side on a CPU: one thread each, instead of all threads within each operation.

Threads that share an operation wait for each other after every one of them; with a few small images per forward, or
other work on the machine, they mostly wait (`tf_efficientnet_lite0`, 224 px, two threads on a busy machine: 76 to
400 ms an image, against 12 to 30 ms of work). Whole forwards beside each other never wait.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock
from typing import Protocol, TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")
_ONE_AT_A_TIME = Lock()
"""While lanes start, the number that new threads take from torch is one."""


class Lanes(Protocol):
    """Applies a function to parts, several at a time; results in the order of the parts."""

    def __call__(self, function: Callable[[Part], Result], parts: Sequence[Part], /) -> list[Result]:
        """Raises what the function raises."""
        ...


@contextmanager
def lanes(device: torch.device) -> Iterator[tuple[int, Lanes]]:
    """As many lanes as torch may use threads here, with one thread each; a single one where there is nothing to gain.

    How many threads the caller's own operations use is the same afterwards.
    """
    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield 1, _in_turn
        return
    started = Barrier(threads + 1)
    with ThreadPoolExecutor(threads, initializer=_alone) as pool:
        with _ONE_AT_A_TIME:
            for _ in range(threads):
                pool.submit(started.wait)
            started.wait()
            torch.set_num_threads(threads)  # threads that start from now on take theirs from the last call

        def beside_each_other(function: Callable[[Part], Result], parts: Sequence[Part], /) -> list[Result]:
            return list(pool.map(function, parts))

        yield threads, beside_each_other


def _alone() -> None:
    torch.get_num_threads()  # a thread that never asked would take the number anew at its first operation
    torch.set_num_threads(1)


def _in_turn(function: Callable[[Part], Result], parts: Sequence[Part], /) -> list[Result]:
    return [function(part) for part in parts]
