from pathlib import Path

import torch
from torch import Tensor

from worker.backbones.building import build_network
from worker.backbones.parts import features, head_of
from worker.backbones.trained import TrainedNetwork
from worker.data.feature_cache import FeatureCache

PIXELS = torch.randint(0, 255, (70, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Counter:
    def __init__(self) -> None:
        self.images = 0

    def __call__(self, done: int) -> None:
        self.images = done


def trained(seed: int = 0, size: int = 32) -> TrainedNetwork:
    torch.manual_seed(seed)
    network = build_network("small_cnn", classes=3, dropout=0.5, image_size=size)
    return TrainedNetwork(network, ["a", "b", "c"], "small_cnn", size, torch.device("cpu"))


def compute(cache: Path, model: TrainedNetwork, digest: str = "d") -> tuple[Tensor, int]:
    counter = Counter()
    made = FeatureCache(model, cache=cache).features(PIXELS, digest, tick=counter)
    return made, counter.images


def test_features_are_the_input_of_the_head(tmp_path: Path) -> None:
    model = trained()
    made, _ = compute(tmp_path, model)
    model.network.eval()
    with torch.inference_mode():
        batch = model.normalise(PIXELS)
        torch.testing.assert_close(made, features(model.network, batch, "small_cnn"))
        torch.testing.assert_close(head_of(model.network, "small_cnn")(made), model.logits(batch))


def test_they_are_computed_once(tmp_path: Path) -> None:
    first, images = compute(tmp_path, trained())
    second, again = compute(tmp_path, trained())

    assert (images, again) == (70, 0)
    assert torch.equal(first, second)
    assert len(list((tmp_path / "features").iterdir())) == 1


def test_they_depend_on_dataset_weights_and_pixels_but_not_on_the_head(tmp_path: Path) -> None:
    compute(tmp_path, trained())
    other_head = trained()
    torch.nn.init.zeros_(head_of(other_head.network, "small_cnn").weight)

    assert compute(tmp_path, other_head)[1] == 0
    assert compute(tmp_path, trained(), "another dataset")[1] == 70
    assert compute(tmp_path, trained(seed=1))[1] == 70
    statistics = trained()
    statistics.network.get_buffer("block1.1.running_mean").add_(1)
    assert compute(tmp_path, statistics)[1] == 70


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    first, _ = compute(tmp_path, trained())
    file = next((tmp_path / "features").iterdir())
    file.write_bytes(file.read_bytes()[:40])
    second, images = compute(tmp_path, trained())

    assert images == 70
    assert torch.equal(first, second)
