import itertools
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from service.specs.augmentation import Augmentation
from worker.data.batches import Batch, Batches, BatchOrder, Loading, epoch_seed, free_bytes, loading_within, shuffled
from worker.data.prefetching import one_ahead, prefetched
from worker.data.transforms import image_transform


@pytest.mark.parametrize(
    ("count", "sizes"), [(32, [8] * 4), (35, [8] * 4 + [3]), (33, [8] * 3 + [9]), (1, [1]), (9, [9])]
)
def test_no_batch_of_one_and_nothing_lost(count: int, sizes: list[int]) -> None:
    indices = list(range(100, 100 + count))
    orders = shuffled(indices, batch_size=8, seed=0, epoch=1)

    assert [len(order.indices) for order in orders] == sizes
    assert sorted(itertools.chain(*(order.indices for order in orders))) == indices


def test_order_follows_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return list(
            itertools.chain(*(made.indices for made in shuffled(range(50), batch_size=8, seed=seed, epoch=epoch)))
        )

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_seeds_do_not_collide() -> None:
    seeds = {epoch_seed(seed, epoch, batch) for seed in range(10) for epoch in range(10) for batch in range(50)}
    assert len(seeds) == 5000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_batches_pair_samples_with_targets() -> None:
    samples, targets = torch.arange(20).view(20, 1), torch.arange(20) * 10
    batches = Batches(samples, targets, transform=None, loading=Loading())
    for batch in batches.make([BatchOrder([5, 3, 19], 0), BatchOrder([0], 0)]):
        assert torch.equal(batch.inputs[:, 0] * 10, batch.targets)


@pytest.mark.parametrize("epochs", [2])
def test_worker_processes_make_the_same_batches(epochs: int) -> None:
    samples = torch.randint(0, 255, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    transform = image_transform(Augmentation(policy="standard"), 16)
    here = Batches(samples, torch.arange(40), transform=transform, loading=Loading())
    there = Batches(samples, torch.arange(40), transform=transform, loading=Loading(workers=2))
    for epoch in range(1, epochs + 1):
        orders = shuffled(range(40), batch_size=8, seed=0, epoch=epoch)
        for own, theirs in zip(here.make(orders), there.make(orders), strict=True):
            assert torch.equal(own.inputs, theirs.inputs)
            assert torch.equal(own.targets, theirs.targets)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (0, Loading()),
        (99, Loading()),
        (100, Loading(1, ahead=1, pinned=True)),
        (299, Loading(2, ahead=1, pinned=True)),
        (300, Loading(3, ahead=1, pinned=True)),
        (799, Loading(4, ahead=1, pinned=True)),
        (800, Loading(4, ahead=2, pinned=True)),
        (10**9, Loading(4, ahead=2, pinned=True)),
    ],
)
def test_no_more_batches_are_made_ahead_than_shared_memory_holds(room: int, expected: Loading) -> None:
    """Of 100 bytes each, by 4 workers at most."""
    assert loading_within(room, 100, most_workers=4) == expected


def test_worker_processes_are_forked_whatever_pythons_default_is() -> None:
    """One that is not forked would have all samples pickled to it, which these cannot be."""

    class Unpicklable(torch.Tensor):
        def __reduce_ex__(self, _protocol: object) -> tuple[object, ...]:
            raise TypeError("all samples are being copied")

    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        samples = torch.arange(20).view(20, 1).as_subclass(Unpicklable)
        there = Batches(samples, torch.arange(20), transform=lambda one: one.as_subclass(torch.Tensor) + 1,
                        loading=Loading(workers=1))  # fmt: skip
        (batch,) = there.make([BatchOrder([5, 3], 0)])
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert batch.inputs.tolist() == [[6], [4]]


def test_free_bytes_are_those_of_the_folder(tmp_path: Path) -> None:
    assert 0 < free_bytes(tmp_path) <= shutil.disk_usage(tmp_path).total
    assert free_bytes(tmp_path / "none") == 0


def test_the_next_batch_is_begun_before_this_one_is_used() -> None:
    told: list[str] = []

    def asked() -> Iterator[int]:
        for number in range(3):
            told.append(f"made {number}")
            yield number

    for number in one_ahead(asked(), lambda one: told.append(f"begun {one}") or one):  # type: ignore[func-returns-value]
        told.append(f"used {number}")
    assert told == [
        *("made 0", "begun 0", "made 1", "begun 1", "used 0"),
        *("made 2", "begun 2", "used 1", "used 2"),
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_come_to_the_gpu_as_they_are() -> None:
    made = [Batch((torch.randn(8, 3), torch.arange(8)), torch.full((8,), number)) for number in range(20)]
    for ours, theirs in zip(made, prefetched(made, torch.device("cuda:0")), strict=True):
        assert theirs.targets.device.type == "cuda"
        assert torch.equal(ours.targets, theirs.targets.cpu())
        assert all(torch.equal(mine, its.cpu()) for mine, its in zip(ours.inputs, theirs.inputs, strict=True))
