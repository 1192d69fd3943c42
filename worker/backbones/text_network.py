"""Transformers as classifiers of texts: tokens in, pooled outputs, a linear head."""

from collections.abc import Sequence
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoModel, PretrainedConfig

from service.errors import ArtifactCorrupt
from service.specs.backbones import Backbone, Pooling
from worker.backbones.parts import Head

ATTENTION = "sdpa"
_NOT_TAKEN = ("model_type", "auto_map", "_name_or_path", "use_cache", "dtype", "torch_dtype", "architectures")
_WITH_POOLER = ("bert", "roberta")


class TextNetwork(nn.Module):
    """ids [n, l] int64 and mask [n, l] (1 where there is a token, padding to the right) → logits [n, c].

    The head gets of the last block's outputs [n, l, d] the first token's (BERT's [CLS]; Devlin et al. 2019) or the last
    token's (GPT-2, which looks back only; Radford et al. 2018). Of MiniLM, made to be averaged, it gets the mean over
    the tokens in three layers side by side, [n, 3d]: the embeddings, the middle block and the last one, each scaled to
    a mean square of 1 (its authors scale, too). What a frozen network knows of a task lies in more than its last layer
    (Peters et al. 2018; Devlin et al. 2019, table 7): on debian_sections, 16 splits, a linear head on all three was
    right in 0.894 of the test texts, on the last alone in 0.882. Padding does not change the outputs of the tokens.
    """

    def __init__(self, body: nn.Module, head: Head, pooling: Pooling) -> None:
        super().__init__()
        self.body, self.head, self.pooling = body, head, pooling

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits [n, c]."""
        return self.from_embeddings(self.embeddings(ids), mask)

    def embeddings(self, ids: Tensor) -> Tensor:
        """The word vectors [n, l, d] of ids [n, l], before positions are added."""
        body: Any = self.body
        words: Tensor = body.get_input_embeddings()(ids)
        return words

    def from_embeddings(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Logits [n, c] of word vectors [n, l, d]."""
        several = self.pooling == "layers"
        made = self.body(inputs_embeds=embedded, attention_mask=mask, output_hidden_states=several)
        pooled = self._means(made.hidden_states, mask) if several else self._token(made.last_hidden_state, mask)
        logits: Tensor = self.head(pooled)
        return logits

    def _means(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        weights = mask.unsqueeze(-1).to(layers[0].dtype)
        blocks = len(layers) - 1
        chosen = [layers[number] for number in (0, blocks // 2, blocks)]
        means = [(layer * weights).sum(dim=1) / weights.sum(dim=1) for layer in chosen]
        return torch.cat([normalize(mean, dim=1) * mean.shape[1] ** 0.5 for mean in means], dim=1)

    def _token(self, outputs: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "first":
            return outputs[:, 0]
        return outputs[torch.arange(len(outputs), device=outputs.device), mask.sum(dim=1) - 1]


def read_config(facts: dict[str, Any], entry: Backbone) -> PretrainedConfig:
    """A transformer's configuration, of the one kind that the catalogue names; code that it may point to is not run.

    Raises:
        ArtifactCorrupt: it is of another kind, or damaged.
    """
    if facts.get("model_type") != entry.model_type:
        raise ArtifactCorrupt(f"The configuration at hand for {entry.name} is not that of a {entry.model_type}.")
    known = {key: value for key, value in facts.items() if key not in _NOT_TAKEN}
    try:
        return AutoConfig.for_model(str(entry.model_type), use_cache=False, **known)
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise ArtifactCorrupt(f"The configuration at hand for {entry.name} is damaged.") from error


def build_text_network(config: PretrainedConfig, entry: Backbone, *, classes: int, dropout: float) -> TextNetwork:
    """A randomly initialised transformer of `config`, with a head for `classes`; `dropout` acts before the head."""
    body = AutoModel.from_config(  # type: ignore[no-untyped-call]
        config, attn_implementation=ATTENTION, **without_pooler(config)
    )
    width = config.hidden_size * (3 if entry.pooling == "layers" else 1)
    return TextNetwork(body, Head(width, classes, dropout=dropout), entry.pooling)


def without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """What keeps BERT from building a layer that only its pretraining used."""
    return {"add_pooling_layer": False} if config.model_type in _WITH_POOLER else {}


def most_tokens(config: PretrainedConfig, entry: Backbone) -> int:
    """How many tokens of a text are read: the catalogue's number, or the network's positions if those are fewer."""
    positions: int = config.max_position_embeddings
    if config.model_type == "roberta":  # its positions begin behind the padding's
        positions -= int(config.pad_token_id) + 1
    return min(entry.input_size, positions)
