"""Owen values against brute force, on games whose answer is known."""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import pytest

from worker.explaining.partition_tree import FloatArray, Game, Mask, OwenValues, Region, owen_values

RNG = np.random.default_rng(5)


def additive(weights: FloatArray) -> Game:
    """Answers the sum of the weights [t, g, g] of what is shown, plus 7."""
    return lambda masks: 7.0 + np.einsum("bij,tij->bt", masks.astype(float), weights)


def from_table(table: FloatArray) -> Game:
    """Any game: the answers [2^cells, t] by the shown cells as a binary number."""

    def game(masks: Mask) -> FloatArray:
        numbers = masks.reshape(len(masks), -1) @ (1 << np.arange(masks[0].size))
        return table[numbers]

    return game


def whole(game: Game, cells: int, budget: int = 100_000) -> OwenValues:
    return owen_values(game, cells=cells, evaluations=budget, batch_size=64)


def orderings(region: Region) -> list[list[tuple[int, int]]]:
    """Every order of single cells in which the cells of each region of the tree arrive together."""
    if region.area == 1:
        return [[(region.top, region.left)]]
    first, second = (orderings(half) for half in region.halves())
    pairs = product(first, second)
    return [order for one, other in pairs for order in (one + other, other + one)]


def enumerated(game: Game, cells: int) -> FloatArray:
    """Owen values as the mean marginal contribution over all such orders (Owen 1977)."""
    orders = orderings(Region(0, cells, 0, cells))
    total: FloatArray = np.zeros((game(np.zeros((1, cells, cells), bool)).shape[1], cells, cells))
    for order in orders:
        mask = np.zeros((1, cells, cells), dtype=bool)
        before = game(mask)[0]
        for cell in order:
            mask[0][cell] = True
            after = game(mask)[0]
            total[:, *cell] += after - before
            before = after
    return total / len(orders)


@pytest.mark.parametrize("targets", [1, 3])
def test_equals_enumeration_on_two_by_two(targets: int) -> None:
    game = from_table(RNG.normal(size=(16, targets)))
    owen = whole(game, 2)
    np.testing.assert_allclose(owen.attributions, enumerated(game, 2), atol=1e-12)


def test_equals_shapley_where_the_tree_does_not_matter() -> None:
    """A symmetric game: every order of the players counts alike, so Owen and Shapley agree."""
    by_size = RNG.normal(size=5)
    table = np.array([[by_size[number.bit_count()]] for number in range(16)])
    shapley = np.zeros(4)
    for order in permutations(range(4)):
        shown = 0
        for player in order:
            shapley[player] += table[shown | 1 << player, 0] - table[shown, 0]
            shown |= 1 << player
    np.testing.assert_allclose(whole(from_table(table), 2).attributions.ravel(), shapley / 24, atol=1e-12)


@pytest.mark.parametrize("cells", [1, 2, 4, 8])
def test_additive_games_are_exact(cells: int) -> None:
    weights = RNG.normal(size=(2, cells, cells))
    owen = owen_values(additive(weights), cells=cells, evaluations=3 * 4 ** (2 * cells.bit_length()), batch_size=64)
    np.testing.assert_allclose(owen.attributions, weights, atol=1e-9)
    np.testing.assert_allclose(owen.base, 7.0)


def test_a_cell_that_changes_nothing_gets_nothing() -> None:
    table = RNG.normal(size=(16, 1))
    table[8:] = table[:8]  # the last cell
    assert abs(whole(from_table(table), 2).attributions[0, 1, 1]) <= 1e-12


def nonlinear(cells: int) -> Game:
    weights = RNG.normal(size=(2, cells, cells))
    return lambda masks: np.tanh(additive(weights)(masks) - 7.0)


@pytest.mark.parametrize("budget", [2, 3, 4, 31, 32, 100, 501])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_budget_and_sum_hold(budget: int, batch_size: int) -> None:
    asked: list[int] = []
    inner = nonlinear(8)

    def game(masks: Mask) -> FloatArray:
        asked.append(len(masks))
        return inner(masks)

    owen = owen_values(game, cells=8, evaluations=budget, batch_size=batch_size)
    assert sum(asked) == owen.evaluations <= budget
    assert owen.evaluations >= budget - 1
    assert max(asked) <= max(2, batch_size)
    np.testing.assert_allclose(owen.base + owen.attributions.sum((1, 2)), owen.full, atol=1e-12)


def test_more_budget_comes_closer() -> None:
    game = nonlinear(4)
    exact = whole(game, 4).attributions

    def error(budget: int) -> float:
        values = owen_values(game, cells=4, evaluations=budget, batch_size=8).attributions
        wide = np.kron(values, np.ones((1, 4 // values.shape[1], 4 // values.shape[2])))
        wide /= (4 // values.shape[1]) * (4 // values.shape[2])
        return float(np.linalg.norm(wide - exact))

    assert error(150) < 0.5 * error(12)


def test_resolution_is_the_finest_that_was_reached() -> None:
    """One bright cell in a corner: the tree goes to the bottom only there."""

    def spot(masks: Mask) -> FloatArray:
        return masks[:, 0, :1].astype(float)

    assert owen_values(spot, cells=16, evaluations=2, batch_size=2).attributions.shape == (1, 1, 1)
    assert owen_values(spot, cells=16, evaluations=40, batch_size=2).attributions.shape[1] > 1
    deep = owen_values(spot, cells=16, evaluations=4000, batch_size=64).attributions
    assert deep.shape == (1, 16, 16)
    assert deep[0, 0, 0] == pytest.approx(1.0)


def test_the_same_game_gives_the_same_values() -> None:
    game: Callable[[Mask], FloatArray] = nonlinear(8)
    one, other = (owen_values(game, cells=8, evaluations=200, batch_size=32).attributions for _ in range(2))
    assert (one == other).all()
