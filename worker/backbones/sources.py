"""Where pretrained weights can be found. Torch-free: the API's view of the catalogue and worker parents use it."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from huggingface_hub import try_to_load_from_cache

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


TEXT_FILES = ("config.json", "model.safetensors", "tokenizer.json")
"""What a transformer's folder has to hold; nothing else in it is read."""
TRANSLATED = "en"
"""The language of texts that are put into another one and back."""


@dataclass(frozen=True)
class WeightSources:
    """Where to look for pretrained weights, in this order: `directory`, packages, the hubs' caches, downloads.

    Attributes:
        directory: holds `<name>.safetensors`, state dicts under the names of torchvision or timm, and of transformers
            a folder `<name>/` with `TEXT_FILES`.
        torch_hub: holds torchvision's own `.pth` files, as `torch.hub` caches them; downloads land here too.
        allow_downloads: whether missing weights may be fetched from download.pytorch.org and the Hugging Face hub.
        hugging_face: holds transformers as the Hugging Face hub caches them; downloads land here too.
    """

    directory: Path | None = None
    torch_hub: Path | None = None
    allow_downloads: bool = False
    hugging_face: Path | None = None

    def local_file(self, name: str) -> Path | None:
        """The safetensors file for catalogue entry `name`, if there is one."""
        path = self.directory / f"{name}.safetensors" if self.directory else None
        return path if path is not None and path.is_file() else None

    def hub_file(self, name: str) -> Path | None:
        """The checkpoint that torchvision would have cached for catalogue entry `name`, if there is one."""
        file = TORCHVISION_FILES.get(name)
        path = self.torch_hub / file if self.torch_hub and file else None
        return path if path is not None and path.is_file() else None

    def text_folder(self, name: str) -> Path | None:
        """The folder of transformer `name` in `directory`, if it is whole."""
        return _whole(self.directory / name) if self.directory else None

    def cached_folder(self, name: str) -> Path | None:
        """The folder in which the Hugging Face hub caches transformer `name`, if it is there and whole."""
        repository = CATALOGUE[name].repository
        if self.hugging_face is None or repository is None:
            return None
        known_as = {repository, repository.rpartition("/")[2]}  # BERT, GPT-2 and others once went without an owner
        for repo in sorted(known_as, reverse=True):
            file = try_to_load_from_cache(repo, TEXT_FILES[0], cache_dir=self.hugging_face)
            if isinstance(file, str) and (folder := _whole(Path(file).parent)):
                return folder
        return None


def packaged_folder(entry: Backbone) -> Path | None:
    """Where the package of a transformer has its files, if it is installed."""
    found = find_spec(entry.package) if entry.package else None
    return _whole(Path(found.origin).parent / "model") if found and found.origin else None


def _whole(folder: Path) -> Path | None:
    return folder if all((folder / file).is_file() for file in TEXT_FILES) else None


def weights_at_hand(sources: WeightSources) -> dict[str, Availability]:
    """For every catalogue name, where its pretrained weights would come from now."""
    return {name: _availability(entry, sources) for name, entry in CATALOGUE.items()}


def _availability(entry: Backbone, sources: WeightSources) -> Availability:
    if not entry.has_pretrained_weights:
        return "none"
    if entry.source == "transformers":
        return _text_availability(entry, sources)
    if sources.local_file(entry.name):
        return "local"
    if entry.package and find_spec(entry.package):
        return "packaged"
    if sources.hub_file(entry.name):
        return "local"
    if sources.allow_downloads and entry.name in TORCHVISION_FILES:
        return "downloadable"
    return "none"


def _text_availability(entry: Backbone, sources: WeightSources) -> Availability:
    if sources.text_folder(entry.name):
        return "local"
    if packaged_folder(entry):
        return "packaged"
    if sources.cached_folder(entry.name):
        return "local"
    return "downloadable" if sources.allow_downloads else "none"


@dataclass(frozen=True)
class Pair:
    """The folders of two MarianMT models: there and back."""

    there: Path
    back: Path


def find_pair(directory: Path | None) -> Pair | None:
    """The first whole pair `marian-en-<language>`, `marian-<language>-en` in `directory`, by the language's name."""
    for there in sorted(directory.glob(f"marian-{TRANSLATED}-*")) if directory else []:
        back = there.with_name(f"marian-{there.name.removeprefix(f'marian-{TRANSLATED}-')}-{TRANSLATED}")
        if all((folder / file).is_file() for folder in (there, back) for file in TEXT_FILES):
            return Pair(there, back)
    return None
