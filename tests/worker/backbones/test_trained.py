import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import resnet18
from torchvision.transforms import v2

from service.errors import ArtifactCorrupt
from tests.worker.backbones.networks import network
from worker.backbones.pixels import PixelFormat
from worker.backbones.trained import TrainedNetwork, load_trained, save_trained

CPU = torch.device("cpu")


def trained(name: str = "small_cnn", size: int = 32) -> TrainedNetwork:
    return TrainedNetwork(network(name), ["a", "b", "c"], name, size, CPU)


def picture(width: int = 50, height: int = 41) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "mobilenet_v3_small"])
def test_what_was_saved_answers_the_same(name: str, tmp_path: Path) -> None:
    before = trained(name, 64)
    batch = before.preprocess([picture(), picture(64, 64)])
    save_trained(before, tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text())

    for weights in (tmp_path / "model.safetensors", (tmp_path / "model.safetensors").read_bytes()):
        after = load_trained(config, weights, CPU)
        with torch.inference_mode():
            assert torch.equal(after.logits(batch), before.logits(batch))
        assert (after.classes, after.backbone, after.image_size) == (before.classes, name, 64)
        assert not after.network.training
        assert not any(parameter.requires_grad for parameter in after.network.parameters())
        assert not any(getattr(module, "inplace", False) for module in after.network.modules())


def test_weights_load_into_torchvision(tmp_path: Path) -> None:
    save_trained(trained("resnet18", 64), tmp_path, dropout=0.1)
    resnet18(num_classes=3).load_state_dict(load_file(tmp_path / "model.safetensors"))


def test_config_says_how_images_become_input(tmp_path: Path) -> None:
    save_trained(trained(), tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text())

    assert config["input"] == {
        "height": 32,
        "width": 32,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "interpolation": "bilinear",
        "resize": "stretch",
    }
    assert (config["classes"], config["dropout"]) == (["a", "b", "c"], 0.1)


def test_logits_can_be_differentiated() -> None:
    model = trained()
    batch = model.preprocess([picture()]).requires_grad_()
    model.logits(batch)[0, 0].backward()

    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "change",
    [{"classes": ["a", "b"]}, {"format": "other"}, {"image_size": "32"}, {"temperature": 0}, {"temperature": "1"}],
)
def test_damage_is_seen(change: dict[str, object], tmp_path: Path) -> None:
    save_trained(trained(), tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    with pytest.raises(ArtifactCorrupt):
        load_trained(config, tmp_path / "model.safetensors", CPU)


def test_truncated_weights_are_seen(tmp_path: Path) -> None:
    save_trained(trained(), tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text())
    content = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ArtifactCorrupt):
        load_trained(config, content[:-10], CPU)


@pytest.mark.parametrize("name", ["small_cnn", "tf_efficientnet_lite0"])
def test_pixels_are_normalised_as_torchvision_does(name: str) -> None:
    pixel_format = PixelFormat.of(name, 24)
    pixels = torch.from_numpy(np.stack([pixel_format.to_pixels(picture())]))
    expected = v2.Normalize(pixel_format.mean, pixel_format.std)(
        v2.functional.to_dtype(pixels, torch.float32, scale=True)
    )

    torch.testing.assert_close(pixel_format.normalise(pixels), expected, atol=2e-6, rtol=0)


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = PixelFormat.of("small_cnn", 16).to_pixels(Image.fromarray(stripes))

    assert small.shape == (3, 16, 16)
    assert np.abs(small.astype(int) - 127).max() <= 32, "point sampling would give 0 or 255"


def test_the_temperature_is_kept(tmp_path: Path) -> None:
    before = trained()
    before.temperature = 2.5
    save_trained(before, tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text())
    after = load_trained(config, tmp_path / "model.safetensors", CPU)
    logits = torch.tensor([[1.0, 2.0, 4.0]])

    assert (config["temperature"], after.temperature) == (2.5, 2.5)
    assert torch.equal(after.probabilities(logits), (logits / 2.5).softmax(1))


def test_models_from_before_calibration_load(tmp_path: Path) -> None:
    save_trained(trained(), tmp_path, dropout=0.1)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["temperature"]
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    assert torch.equal(
        load_trained(config, tmp_path / "model.safetensors", CPU).probabilities(logits), logits.softmax(1)
    )
