"""Folders of small random transformers under the catalogue's names, as transformers itself would save them."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel

from service.specs.backbones import CATALOGUE, entries_for
from worker.backbones.sources import WeightSources
from worker.backbones.text_weights import find_text, text_encoder
from worker.backbones.trained_text import TrainedText

TEXTS = [entry.name for entry in entries_for("text_classification")]
WORDS = (
    "the a of and to in is was it for with on as at by this that good bad great awful film music game engine play "
    "sound server browser page library data model plot actor scene story song player tool small large fast slow"
)
_SIZES: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
             "max_position_embeddings": 40},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40},
    "roberta": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
                "max_position_embeddings": 42, "type_vocab_size": 1, "pad_token_id": 1},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40},
}  # fmt: skip


def tokenizer(model_type: str) -> Tokenizer:
    """Word pieces with [CLS] and [SEP] for BERT and DistilBERT; bytes for RoBERTa (<s>, </s>) and GPT-2 (neither)."""
    corpus = WORDS.split() * 3
    if model_type in ("bert", "distilbert"):
        made = Tokenizer(models.WordPiece(_word_pieces(), unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        return made
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if model_type == "roberta" else ["<|endoftext|>"]
    made.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    if model_type == "roberta":
        made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    else:
        made.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


def _word_pieces() -> dict[str, int]:
    """The words and their letters. Written out: `WordPieceTrainer` numbers pieces in another order in every process."""
    words = sorted(set(WORDS.split()))
    letters = sorted(set("".join(words)))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def write_backbone(directory: Path, name: str, *, seed: int = 0) -> Path:
    """A folder `name` in `directory` with random weights; returns it."""
    model_type = str(CATALOGUE[name].model_type)
    tokens = tokenizer(model_type)
    ends = {"bos_token_id": 0, "eos_token_id": 0} if model_type == "gpt2" else {}
    config = AutoConfig.for_model(model_type, vocab_size=tokens.get_vocab_size(), **_SIZES[model_type], **ends)
    torch.manual_seed(seed)
    folder = directory / name
    AutoModel.from_config(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokens.to_str(), "utf-8")
    assert json.loads((folder / "config.json").read_text("utf-8"))["model_type"] == model_type
    return folder


def tiny_sources(directory: Path, name: str = "all-MiniLM-L6-v2") -> WeightSources:
    """Sources in which `name` has small random weights."""
    write_backbone(directory, name)
    return WeightSources(directory)


def tiny_text(
    directory: Path, name: str = "all-MiniLM-L6-v2", *, classes: tuple[str, ...] = ("bad", "good", "other")
) -> TrainedText:
    """A classifier with small random weights, in evaluation mode, its outputs spread enough to be told apart."""
    source = find_text(name, tiny_sources(directory, name))
    torch.manual_seed(1)
    network = source.network(classes=len(classes), dropout=0.0, pretrained=True).eval().requires_grad_(False)
    network.head.weight.normal_(std=1.0)
    tokens = text_encoder(source.tokenizer(), source.config, source.entry).max_tokens
    return TrainedText(network, source.tokenizer(), source.config, list(classes), name, tokens, torch.device("cpu"))
