"""A network with its ImageNet weights and head, and photographs that a package ships."""

from pathlib import Path

import sklearn.datasets
import timm
import torch
from PIL import Image

from worker.backbones.parts import memory_format, without_inplace
from worker.backbones.sources import WeightSources
from worker.backbones.trained import TrainedNetwork
from worker.backbones.weights import pretrained_state

BACKBONE = "tf_efficientnet_lite0"


def imagenet_network(image_size: int = 224) -> TrainedNetwork:
    """EfficientNet-Lite0 as its package carries it, 1,000 classes, in its serving form."""
    network = timm.create_model(BACKBONE, pretrained=False)
    packaged, _ = pretrained_state(BACKBONE, WeightSources())
    network.load_state_dict(dict(zip(network.state_dict(), packaged.values(), strict=True)))
    network = without_inplace(network).requires_grad_(False).eval()
    network = network.to(memory_format=memory_format(BACKBONE, torch.device("cpu")))
    return TrainedNetwork(network, [str(i) for i in range(1000)], BACKBONE, image_size, torch.device("cpu"))


def photographs(count: int, size: int = 224) -> list[Image.Image]:
    """Squares cut from scikit-learn's two photographs, side by side along their width."""
    folder = Path(sklearn.datasets.__file__).parent / "images"
    squares = []
    for number in range(count):
        picture = Image.open(folder / ("flower.jpg", "china.jpg")[number % 2]).convert("RGB")
        left = (picture.width - picture.height) * (number // 2) // max(1, (count - 1) // 2)
        square = picture.crop((left, 0, left + picture.height, picture.height))
        squares.append(square.resize((size, size)))
    return squares
