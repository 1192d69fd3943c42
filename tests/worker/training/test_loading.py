"""How many processes load a trial's batches."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.worker.training.toys import linear_setting
from worker.data.batches import Loading, free_bytes
from worker.training.image_subject import ImageSubject


@pytest.mark.parametrize(
    ("neighbours", "expected"),
    [(1, Loading(4, ahead=1, pinned=True)), (2, Loading(3, ahead=1, pinned=True)), (7, Loading(0))],
)
def test_a_trial_takes_its_share_of_half_the_shared_memory(tmp_path: Path, neighbours: int, expected: Loading) -> None:
    """Half of the memory holds 6.5 batches here."""
    subject = linear_setting(torch.zeros(4, 256), torch.arange(4) % 2).subject
    assert isinstance(subject, ImageSubject)
    subject.order = replace(subject.order, threads=4, neighbours=neighbours)
    batch_size = int(free_bytes(tmp_path) / 2 / 6.5 / (256 * 4))
    assert subject.loading(batch_size, tmp_path) == expected
    assert subject.loading(4, tmp_path) == Loading(4, ahead=2, pinned=True)
    assert subject.loading(4, tmp_path / "none") == Loading(0)
