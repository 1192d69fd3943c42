"""Side by side: in order, with one thread each, errors and thread counts passed on as they were."""

from collections.abc import Iterator

import pytest
import torch

from worker.explaining.lanes import lanes

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_keep_their_order_and_threads_their_number(threads: int) -> None:
    with lanes(CPU) as (count, side_by_side):
        assert count == threads
        assert side_by_side(lambda part: part * part, range(20)) == [part * part for part in range(20)]
        assert set(side_by_side(lambda _part: torch.get_num_threads(), range(20))) == {1}
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == threads


def test_errors_come_through(threads: int) -> None:
    with pytest.raises(ZeroDivisionError), lanes(CPU) as (_, side_by_side):
        side_by_side(lambda part: 1 // part, [1, 0, 2])
    assert torch.get_num_threads() == threads


def test_accelerators_have_one(threads: int) -> None:
    with lanes(torch.device("cuda")) as (count, side_by_side):
        assert count == 1
        assert side_by_side(str, [1, 2]) == ["1", "2"]
