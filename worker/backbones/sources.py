"""Where pretrained weights can be found. Torch-free: the API's view of the catalogue and worker parents use it."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from service.specs.backbones import CATALOGUE, Backbone

Availability = Literal["packaged", "local", "downloadable", "none"]

TORCHVISION_URL = "https://download.pytorch.org/models/"

# The files of each network's current default weights; torchvision puts the start of the SHA-256 into the name.
TORCHVISION_FILES: dict[str, str] = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet101": "resnet101-cd907fc2.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "efficientnet_b1": "efficientnet_b1-c27df63c.pth",
    "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473.pth",
    "efficientnet_b3": "efficientnet_b3_rwightman-b3899882.pth",
    "efficientnet_b4": "efficientnet_b4_rwightman-23ab8bcd.pth",
    "mobilenet_v3_small": "mobilenet_v3_small-047dcff4.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-5c1a4163.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "convnext_tiny": "convnext_tiny-983f1562.pth",
    "convnext_small": "convnext_small-0c510722.pth",
    "vit_b_16": "vit_b_16-c867db91.pth",
    "swin_t": "swin_t-704ceda3.pth",
}


@dataclass(frozen=True)
class WeightSources:
    """Where to look for pretrained weights, in this order: `directory`, packages, `torch_hub`, downloads.

    Attributes:
        directory: holds `<name>.safetensors`, state dicts under the names of torchvision or timm.
        torch_hub: holds torchvision's own `.pth` files, as `torch.hub` caches them; downloads land here too.
        allow_downloads: whether missing torchvision weights may be fetched from download.pytorch.org.
    """

    directory: Path | None = None
    torch_hub: Path | None = None
    allow_downloads: bool = False

    def local_file(self, name: str) -> Path | None:
        """The safetensors file for catalogue entry `name`, if there is one."""
        path = self.directory / f"{name}.safetensors" if self.directory else None
        return path if path is not None and path.is_file() else None

    def hub_file(self, name: str) -> Path | None:
        """The checkpoint that torchvision would have cached for catalogue entry `name`, if there is one."""
        file = TORCHVISION_FILES.get(name)
        path = self.torch_hub / file if self.torch_hub and file else None
        return path if path is not None and path.is_file() else None


def weights_at_hand(sources: WeightSources) -> dict[str, Availability]:
    """For every catalogue name, where its pretrained weights would come from now."""
    return {name: _availability(entry, sources) for name, entry in CATALOGUE.items()}


def _availability(entry: Backbone, sources: WeightSources) -> Availability:
    if not entry.has_pretrained_weights:
        return "none"
    if sources.local_file(entry.name):
        return "local"
    if entry.package and find_spec(entry.package):
        return "packaged"
    if sources.hub_file(entry.name):
        return "local"
    if sources.allow_downloads and entry.name in TORCHVISION_FILES:
        return "downloadable"
    return "none"
