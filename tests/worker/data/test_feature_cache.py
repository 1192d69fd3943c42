from pathlib import Path

import pytest
import torch
from torch import Tensor

from service.errors import ResourceExhausted
from tests.worker.training.room import room_for
from worker.backbones.building import build_network
from worker.backbones.cut import cut_before_last_stage
from worker.backbones.parts import body_of, features, head_of
from worker.backbones.trained import TrainedNetwork
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.feature_cache import FeatureCache

PIXELS = torch.randint(0, 255, (70, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Counter:
    """Counts batches."""

    def __init__(self) -> None:
        self.batches = 0

    def __call__(self) -> None:
        self.batches += 1


def trained(seed: int = 0, dropout: float = 0.5) -> TrainedNetwork:
    torch.manual_seed(seed)
    network = build_network("small_cnn", classes=3, dropout=dropout, image_size=32)
    return TrainedNetwork(network, ["a", "b", "c"], "small_cnn", 32, torch.device("cpu"))


def of_head(model: TrainedNetwork, folder: Path, budget_bytes: int = 10**9) -> FeatureCache:
    cache = DiskCache(folder, budget_bytes=budget_bytes)
    return FeatureCache(model, body_of(model.network, model.backbone), cache=cache)


def compute(folder: Path, model: TrainedNetwork, digest: str = "d", budget_bytes: int = 10**9) -> tuple[Tensor, int]:
    counter = Counter()
    made = of_head(model, folder, budget_bytes).features(PIXELS, digest, tick=counter)
    return made, counter.batches


def test_features_are_the_input_of_the_head(tmp_path: Path) -> None:
    model = trained()
    made, _ = compute(tmp_path, model)
    model.network.eval()
    with torch.inference_mode():
        batch = model.normalise(PIXELS)
        torch.testing.assert_close(made, features(model.network, batch, "small_cnn"))
        torch.testing.assert_close(head_of(model.network, "small_cnn")(made), model.logits(batch))


def test_activations_are_the_input_of_the_last_stage(tmp_path: Path) -> None:
    model = trained()
    cut = cut_before_last_stage(model.network, "small_cnn")
    assert cut is not None
    cache = FeatureCache(model, cut.frozen, cache=DiskCache(tmp_path, budget_bytes=10**9))
    made = cache.stored(PIXELS, "d", tick=Counter())
    model.network.eval()

    assert made.shape == (70, 128, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(cut.rest(made), model.logits(model.normalise(PIXELS)))


def test_they_are_computed_once(tmp_path: Path) -> None:
    first, batches = compute(tmp_path, trained())
    second, again = compute(tmp_path, trained())

    assert (batches, again) == (2, 0)
    assert torch.equal(first, second)
    assert len(list((tmp_path / "d").iterdir())) == 1


def test_they_depend_on_dataset_weights_and_pixels_but_not_on_the_head(tmp_path: Path) -> None:
    compute(tmp_path, trained())
    other_head = trained(dropout=0.1)
    torch.nn.init.zeros_(head_of(other_head.network, "small_cnn").weight)

    assert compute(tmp_path, other_head)[1] == 0
    assert compute(tmp_path, trained(), "another dataset")[1] == 2
    assert compute(tmp_path, trained(seed=1))[1] == 2
    statistics = trained()
    statistics.network.get_buffer("block1.1.running_mean").add_(1)
    assert compute(tmp_path, statistics)[1] == 2


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    first, _ = compute(tmp_path, trained())
    first = first.clone()
    (file,) = (tmp_path / "d").iterdir()
    file.write_bytes(file.read_bytes()[:40])
    second, batches = compute(tmp_path, trained())

    assert batches == 2
    assert torch.equal(first, second)


def test_what_does_not_fit_the_memory_is_computed_in_halves(tmp_path: Path) -> None:
    """70 images: 64 at once are too many, so are 32 and 16; from then on 8 at a time."""
    whole, _ = compute(tmp_path / "a", trained())
    with room_for(8, training=False) as tried:
        made, batches = compute(tmp_path / "b", trained())
    assert torch.allclose(made, whole, atol=1e-6)
    assert {64, 32, 16, 8} <= set(tried)
    assert batches == 2
    with room_for(0, training=False), pytest.raises(ResourceExhausted, match="one sample"):
        compute(tmp_path / "c", trained())


def test_features_are_computed_without_tf32(tmp_path: Path) -> None:
    model, seen = trained(), []
    body = body_of(model.network, model.backbone)
    body.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    cache = FeatureCache(model, body, cache=DiskCache(tmp_path, budget_bytes=10**9))
    cache.features(PIXELS, "d", tick=Counter())
    assert seen[1:] == [False, False], "after the shape was looked at"
    assert torch.backends.cudnn.allow_tf32, "the trial itself may use it"


def test_without_room_on_the_disk_they_are_computed_in_memory(tmp_path: Path) -> None:
    stored, _ = compute(tmp_path / "a", trained())
    for _ in range(2):
        made, batches = compute(tmp_path / "b", trained(), budget_bytes=1000)
        assert torch.equal(made, stored)
        assert batches == 2
    assert list((tmp_path / "b" / "d").iterdir()) == []
    with pytest.raises(NoRoom):
        of_head(trained(), tmp_path / "b", 1000).stored(PIXELS, "d", tick=Counter())
