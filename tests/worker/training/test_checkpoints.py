from pathlib import Path

import pytest
import torch

from worker.training.checkpoints import Checkpoint, Checkpoints


def checkpoint(epoch: int, best: int) -> Checkpoint:
    return Checkpoint(
        epoch, {"epoch": epoch, "rate": 0.1}, {"weight": torch.full((3,), epoch)}, {"weight": torch.full((3,), best)}
    )


@pytest.fixture
def written(tmp_path: Path) -> Checkpoints:
    """Epochs 1 to 4, the best of which was the second."""
    made = Checkpoints(tmp_path / "checkpoint", "order")
    for epoch in range(1, 5):
        made.save(checkpoint(epoch, min(epoch, 2)), best_is_new=epoch <= 2)
    return made


def reopened(written: Checkpoints) -> Checkpoint | None:
    return Checkpoints(written.folder, "order").latest()


def test_the_latest_comes_back_whole(written: Checkpoints) -> None:
    found = reopened(written)
    assert found
    assert (found.epoch, found.facts) == (4, {"epoch": 4, "rate": 0.1})
    assert found.tensors["weight"].tolist() == [4, 4, 4]
    assert found.best["weight"].tolist() == [2, 2, 2]


def test_two_are_kept_and_the_best(written: Checkpoints) -> None:
    assert sorted(path.name for path in written.folder.iterdir()) == [
        "best-00002.safetensors",
        "epoch-00003.json",
        "epoch-00003.safetensors",
        "epoch-00004.json",
        "epoch-00004.safetensors",
    ]


@pytest.mark.parametrize("name", ["epoch-00004.json", "epoch-00004.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone"])
def test_a_damaged_one_falls_back(written: Checkpoints, name: str, damage: str) -> None:
    path = written.folder / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    made = {"truncated": bytes(content[: len(content) // 2]), "flipped": bytes(content), "empty": b""}
    path.unlink() if damage == "gone" else path.write_bytes(made[damage])

    found = reopened(written)
    assert found
    assert found.epoch == 3


def test_nothing_left_is_a_new_start(written: Checkpoints) -> None:
    (written.folder / "best-00002.safetensors").unlink()
    assert reopened(written) is None


def test_another_orders_are_not_taken(written: Checkpoints) -> None:
    assert Checkpoints(written.folder, "other order").latest() is None


def test_saving_goes_on_after_reopening(written: Checkpoints) -> None:
    again = Checkpoints(written.folder, "order")
    again.latest()
    again.save(checkpoint(5, 2), best_is_new=False)
    found = reopened(written)
    assert found
    assert (found.epoch, found.best["weight"].tolist()) == (5, [2, 2, 2])


def test_half_written_files_do_not_count(tmp_path: Path) -> None:
    made = Checkpoints(tmp_path, "order")
    (tmp_path / ".epoch-00001.json.tmp").write_text("{")
    (tmp_path / "epoch-00001.safetensors").write_bytes(b"half")
    assert made.latest() is None
    made.save(checkpoint(1, 1), best_is_new=True)
    assert not list(tmp_path.glob(".*"))
