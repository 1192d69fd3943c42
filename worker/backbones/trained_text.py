"""A trained classifier of texts with all that it takes to use it; writing it to a folder and reading it back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PretrainedConfig

from service.errors import ArtifactCorrupt
from service.specs.backbones import CATALOGUE, Backbone
from worker.backbones.text_network import TextNetwork, build_text_network, read_config
from worker.backbones.text_weights import text_encoder
from worker.backbones.tokens import TextEncoder, Tokens, read_tokenizer
from worker.backbones.trained import CONFIG_FILE, WEIGHTS_FILE, calibrated

FORMAT = "tunelens-text-classifier-1"
TOKENIZER_FILE = "tokenizer.json"


@dataclass
class TrainedText:
    """A network, its tokenizer, the classes of its outputs in order, and the temperature of its probabilities.

    Attributes:
        config: of the transformer, from which its layers can be rebuilt.
        max_tokens: how many tokens of a text are read, special ones included.
        text_column: what the dataset called the texts.
    """

    network: TextNetwork
    tokenizer: Tokenizer
    config: PretrainedConfig
    classes: list[str]
    backbone: str
    max_tokens: int
    device: torch.device
    text_column: str = "text"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        self.encoder: TextEncoder = text_encoder(self.tokenizer, self.config, self.entry, max_tokens=self.max_tokens)
        self.max_tokens = self.encoder.max_tokens

    @property
    def entry(self) -> Backbone:
        """The backbone's catalogue entry."""
        return CATALOGUE[self.backbone]

    def encode(self, texts: Sequence[str]) -> Tokens:
        """N texts, at least one → ids and mask [n, l] on the CPU, offsets in characters, which were truncated."""
        return self.encoder.encode(texts)

    def logits(self, tokens: Tokens) -> Tensor:
        """[n, c]. Wrap in `torch.inference_mode()` to predict only."""
        result: Tensor = self.network(tokens.ids.to(self.device), tokens.mask.to(self.device))
        return result

    def embeddings(self, ids: Tensor) -> Tensor:
        """[n, l] → word vectors [n, l, d], before positions are added."""
        return self.network.embeddings(ids.to(self.device))

    def logits_from_embeddings(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """[n, l, d] word vectors and the mask [n, l] → [n, c]; differentiable. `logits` goes the same way."""
        return self.network.from_embeddings(embedded, mask.to(self.device))

    def probabilities(self, logits: Tensor) -> Tensor:
        """[n, c] logits → [n, c], calibrated. Whatever shows or explains a probability takes it from here."""
        return calibrated(logits, self.temperature)


def describe_text(trained: TrainedText, *, dropout: float) -> dict[str, object]:
    """The JSON beside the weights, from which `load_text` rebuilds the network without anything else."""
    return {
        "format": FORMAT,
        "problem": "text_classification",
        "backbone": trained.backbone,
        "estimator": None,
        "classes": trained.classes,
        "dropout": dropout,
        "temperature": trained.temperature,
        "input": {"max_tokens": trained.max_tokens, "text": trained.text_column},
        "weights": WEIGHTS_FILE,
        "transformer": trained.config.to_dict(),
    }


def save_text(trained: TrainedText, folder: Path, *, dropout: float, training: dict[str, object] | None = None) -> None:
    """Writes `model.safetensors`, `tokenizer.json` and `config.json` into `folder`.

    `training` is what the configuration says of how it was trained; using the network does not take it.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in trained.network.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / TOKENIZER_FILE).write_text(trained.tokenizer.to_str(), encoding="utf-8")
    description = describe_text(trained, dropout=dropout) | ({"training": training} if training else {})
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def load_text(config: Mapping[str, Any], files: Mapping[str, bytes], device: torch.device) -> TrainedText:
    """The classifier of a `config.json` and its files by name, in evaluation mode, frozen.

    Raises:
        ArtifactCorrupt: another format, a file is missing, or the weights do not fit the configuration.
    """
    if config.get("format") != FORMAT:
        raise ArtifactCorrupt("The model's configuration is of another format.")
    try:
        backbone, classes = str(config["backbone"]), [str(name) for name in config["classes"]]
        dropout, temperature = float(config["dropout"]), float(config["temperature"])
        entry, text_column = CATALOGUE[backbone], str(config["input"]["text"])
        max_tokens = int(config["input"]["max_tokens"])
        weights, tokenizer = files[str(config["weights"])], files[TOKENIZER_FILE]
        transformer = read_config(dict(config["transformer"]), entry)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactCorrupt("The model's configuration is damaged, or a file is missing.") from error
    if not (0 < temperature < float("inf") and max_tokens > 2):
        raise ArtifactCorrupt("The model's configuration is damaged.")
    network = build_text_network(transformer, entry, classes=len(classes), dropout=dropout)
    try:
        network.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactCorrupt("The model's weights do not fit its configuration.") from error
    network = network.requires_grad_(False).eval().to(device)
    return TrainedText(
        network=network,
        tokenizer=read_tokenizer(tokenizer),
        config=transformer,
        classes=classes,
        backbone=backbone,
        max_tokens=max_tokens,
        device=device,
        text_column=text_column,
        temperature=temperature,
    )
