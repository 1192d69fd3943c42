"""Owen values over a tree of regions of an image, or of a row of words, under a budget of evaluations.

A region is halved along its longest side, again and again. The halves of a region share what it is worth as two
players of a Shapley game would, once with the rest of the parent hidden and once with it shown (Owen 1977; the same
recursion as shap's partition explainer). A budget never reaches every pixel, so the share that changes the answer
most is split first, and what is left unsplit is spread evenly.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.explaining.results import Attribution

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Game = Callable[[Mask], FloatArray]
"""What the network answers [b, t] where the cells in [b, g, g] are shown and the others hidden."""


@dataclass(frozen=True)
class Region:
    """Cells [top, bottom) x [left, right) of the grid."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def cells(self) -> tuple[slice, slice]:
        """As an index of [g, g]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """Number of cells."""
        return (self.bottom - self.top) * (self.right - self.left)

    def halves(self) -> "tuple[Region, Region]":
        """Cut across its longest side, across the rows of a square."""
        height, width = self.bottom - self.top, self.right - self.left
        if height >= width:
            middle = self.top + height // 2
            return Region(self.top, middle, *self._columns), Region(middle, self.bottom, *self._columns)
        middle = self.left + width // 2
        return Region(self.top, self.bottom, self.left, middle), Region(self.top, self.bottom, middle, self.right)

    @property
    def _columns(self) -> tuple[int, int]:
        return self.left, self.right


@dataclass(frozen=True)
class Share:
    """A region's part of the answer in one context.

    Attributes:
        context: [g, g], the cells shown beside the region.
        without, within: [t], the answers to the context alone and with the region shown as well.
        weight: how much this context counts among all contexts of the region.
    """

    context: Mask
    region: Region
    without: FloatArray
    within: FloatArray
    weight: float

    @property
    def contribution(self) -> FloatArray:
        """[t]: what goes to the region if it is not split further."""
        return (self.within - self.without) * self.weight


@dataclass(frozen=True)
class OwenValues:
    """Attributions [t, h, w], or [t, m] of a row, with what an all-hidden and an all-shown input are answered [t].

    `base` and all attributions of a target add up to `full`, but for rounding. `evaluations` counts what was sent to
    the game.
    """

    attributions: FloatArray
    base: FloatArray
    full: FloatArray
    evaluations: int

    def of(self, targets: Sequence[int]) -> list[Attribution]:
        """By target; `targets` are the class indices [t]."""
        return [
            Attribution(
                index,
                self.attributions[slot],
                base_value=float(self.base[slot]),
                summed_value=float(self.base[slot] + self.attributions[slot].sum()),
            )
            for slot, index in enumerate(targets)
        ]


def owen_values(
    game: Game, *, cells: int, evaluations: int, batch_size: int, full: FloatArray | None = None
) -> OwenValues:
    """What each cell of an image contributes to the game's answers.

    Args:
        game: see `Game`.
        cells: g, cells per side; the map comes back at the finest resolution that was reached.
        evaluations: at most so many masks are sent to the game, at least 2 (1 if `full` is known).
        batch_size: at most so many at once.
        full: [t], the answer to everything shown, if it is known already.
    """
    explored = _explore(game, Region(0, cells, 0, cells), evaluations, batch_size, full)
    values = _blocks(_spread(explored), explored.shares)
    return OwenValues(values, explored.base, explored.full, explored.evaluations)


def owen_values_of_row(
    game: Game, *, units: int, evaluations: int, batch_size: int, full: FloatArray | None = None
) -> OwenValues:
    """What each of m `units` in a row contributes to the game's answers to masks [b, 1, m]; else as `owen_values`.

    The row is halved again and again, so neighbours share a region longest.
    """
    explored = _explore(game, Region(0, 1, 0, units), evaluations, batch_size, full)
    return OwenValues(_spread(explored)[:, 0], explored.base, explored.full, explored.evaluations)


@dataclass(frozen=True)
class _Explored:
    """A budget's shares of the whole region, and the answers to nothing and to all of it."""

    whole: Region
    shares: list[Share]
    base: FloatArray
    full: FloatArray
    evaluations: int


def _explore(game: Game, whole: Region, evaluations: int, batch_size: int, full: FloatArray | None) -> _Explored:
    hidden = np.zeros((whole.bottom, whole.right), dtype=bool)
    ends = game(np.stack([hidden] if full is not None else [hidden, ~hidden]))
    base, full = ends[0], ends[1] if full is None else full
    queue = _Queue()
    queue.push(Share(hidden, whole, base, full, 1.0))
    settled: list[Share] = []
    spent = len(ends)
    while queue and evaluations - spent >= 2:
        shares = queue.pop(max(1, min(batch_size, evaluations - spent) // 2), settled)
        if not shares:
            break
        spent += 2 * len(shares)
        for share in split(game, shares):
            queue.push(share)
    return _Explored(whole, settled + queue.rest(), base, full, spent)


def split(game: Game, shares: list[Share]) -> list[Share]:
    """Each share as four: either half of its region, beside the other half hidden and shown."""
    masks = np.empty((2 * len(shares), *shares[0].context.shape), dtype=bool)
    for i, share in enumerate(shares):
        for j, half in enumerate(share.region.halves()):
            masks[2 * i + j] = share.context
            masks[2 * i + j][half.cells] = True
    answers = game(masks)
    parts: list[Share] = []
    for i, share in enumerate(shares):
        first, second = share.region.halves()
        only_first, only_second = answers[2 * i], answers[2 * i + 1]
        weight = share.weight / 2
        parts += [
            Share(share.context, first, share.without, only_first, weight),
            Share(masks[2 * i + 1], first, only_second, share.within, weight),
            Share(share.context, second, share.without, only_second, weight),
            Share(masks[2 * i], second, only_first, share.within, weight),
        ]
    return parts


class _Queue:
    """Shares, the one that changes any target's answer most first; ties in the order of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Share]] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, share: Share) -> None:
        heapq.heappush(self._heap, (-float(np.abs(share.contribution).max()), self._arrivals, share))
        self._arrivals += 1

    def pop(self, most: int, settled: list[Share]) -> list[Share]:
        """Up to `most` shares that can be split; single cells met on the way are settled."""
        shares: list[Share] = []
        while self._heap and len(shares) < most:
            share = heapq.heappop(self._heap)[2]
            (shares if share.region.area > 1 else settled).append(share)
        return shares

    def rest(self) -> list[Share]:
        return [share for _, _, share in self._heap]


def _spread(explored: _Explored) -> FloatArray:
    """[t, g, g]: each share, evenly over the cells of its region."""
    values = np.zeros((len(explored.base), explored.whole.bottom, explored.whole.right))
    for share in explored.shares:
        values[:, *share.region.cells] += (share.contribution / share.region.area)[:, None, None]
    return values


def _blocks(values: FloatArray, shares: list[Share]) -> FloatArray:
    """[t, g, g] summed over the largest squares that no share cuts through."""
    targets, cells, _ = values.shape
    rows = _finest([(share.region.top, share.region.bottom) for share in shares], cells)
    columns = _finest([(share.region.left, share.region.right) for share in shares], cells)
    side = min(rows, columns)
    blocks: FloatArray = values.reshape(targets, cells // side, side, cells // side, side).sum(axis=(2, 4))
    return blocks


def _finest(spans: list[tuple[int, int]], cells: int) -> int:
    """The largest block, in cells, that no region cuts through: every edge is a multiple of it."""
    block = cells
    for low, high in spans:
        block = int(np.gcd.reduce([block, low, high]))
    return block
