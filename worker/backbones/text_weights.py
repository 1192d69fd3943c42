"""Where a transformer's files lie, reading them, and its network with pretrained weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoModel, PretrainedConfig
from transformers.utils import logging

from service.errors import ArtifactCorrupt, UnknownBackbone
from service.specs.backbones import CATALOGUE, Backbone, entries_for
from worker.backbones.sources import TEXT_FILES, WeightSources, packaged_folder, weights_at_hand
from worker.backbones.text_network import (
    ATTENTION,
    TextNetwork,
    build_text_network,
    most_tokens,
    read_config,
    without_pooler,
)
from worker.backbones.tokens import TextEncoder, read_tokenizer

HUB_URL = "https://huggingface.co"


@dataclass(frozen=True)
class TextSource:
    """A catalogue entry's files: a folder with `TEXT_FILES`, and its configuration as read."""

    entry: Backbone
    folder: Path
    config: PretrainedConfig

    def tokenizer(self) -> Tokenizer:
        """As the network was trained with.

        Raises:
            ArtifactCorrupt: the file is damaged.
        """
        return read_tokenizer((self.folder / "tokenizer.json").read_bytes())

    def network(self, *, classes: int, dropout: float, pretrained: bool) -> TextNetwork:
        """The network with a new head; its other weights are the folder's if `pretrained`, else random.

        Read by transformers itself, as it knows the names that older checkpoints use; safetensors only.

        Raises:
            ArtifactCorrupt: the weights do not fit the configuration.
        """
        network = build_text_network(self.config, self.entry, classes=classes, dropout=dropout)
        if pretrained:
            network.body = self._pretrained_body()
        return network

    def _pretrained_body(self) -> Any:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # else it reports what we leave out on purpose
        try:
            body, report = AutoModel.from_pretrained(
                str(self.folder),
                config=self.config,
                attn_implementation=ATTENTION,
                dtype="float32",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **without_pooler(self.config),
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ArtifactCorrupt(f"The pretrained weights at hand for {self.entry.name} do not fit.") from error
        if report["missing_keys"] or report["mismatched_keys"]:
            raise ArtifactCorrupt(f"The pretrained weights at hand for {self.entry.name} do not fit its network.")
        return body


def text_encoder(
    tokenizer: Tokenizer, config: PretrainedConfig, entry: Backbone, *, max_tokens: int | None = None
) -> TextEncoder:
    """The tokenizer with the network's limit, or a lower one; GPT-2 pads with its end of text."""
    pad_id = config.pad_token_id if config.pad_token_id is not None else config.eos_token_id
    limit = most_tokens(config, entry)
    return TextEncoder(tokenizer, max_tokens=min(max_tokens or limit, limit), pad_id=int(pad_id or 0))


def find_text(name: str, sources: WeightSources) -> TextSource:
    """The files of text backbone `name`. A network without pretrained weights needs them too: its tokenizer.

    Raises:
        UnknownBackbone: no such entry, none at hand, or the download failed.
        ArtifactCorrupt: the configuration is not that of the entry.
    """
    entry = CATALOGUE.get(name)
    if entry is None or entry.source != "transformers":
        raise UnknownBackbone("There is no text backbone of that name in the catalogue.")
    folder = sources.text_folder(name) or packaged_folder(entry) or sources.cached_folder(name)
    if folder is None:
        folder = _download(entry, sources)
    try:
        facts = json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError as error:
        raise ArtifactCorrupt(f"The configuration at hand for {name} is damaged.") from error
    return TextSource(entry, folder, read_config(facts, entry))


def _download(entry: Backbone, sources: WeightSources) -> Path:
    if not sources.allow_downloads or entry.repository is None:
        known = weights_at_hand(sources)
        at_hand = [other.name for other in entries_for(entry.problem) if known[other.name] != "none"]
        raise UnknownBackbone(f"No files are at hand for {entry.name}; at hand are: {', '.join(at_hand) or 'none'}.")
    try:
        paths = [
            hf_hub_download(entry.repository, file, cache_dir=sources.hugging_face, endpoint=HUB_URL)
            for file in TEXT_FILES
        ]
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnknownBackbone(f"The files of {entry.name} could not be downloaded.") from error
    return Path(paths[0]).parent
