"""Texts whose class is one word at a random place among neutral ones, so that the right word is known."""

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import AutoConfig

from service.specs.backbones import CATALOGUE
from worker.backbones.text_network import build_text_network
from worker.backbones.trained_text import TrainedText

WORDS = (
    "the a of and to in is was it for with on as at by this that good bad great awful film music game engine play "
    "sound server browser page library data model plot actor scene story song player tool small large fast slow user"
)
CLASSES = ["bad", "good", "none"]
DECIDING = {"bad": "awful", "good": "great"}
NEUTRAL = [word for word in WORDS.split() if word not in ("good", "bad", "great", "awful")]


def planted(index: int, label: str, *, words: tuple[int, int] = (8, 15)) -> tuple[str, int | None]:
    """A text of neutral words, and the place of the one among them that decides its class; none decides "none"."""
    rng = np.random.default_rng([index, CLASSES.index(label)])
    chosen = [str(word) for word in rng.choice(NEUTRAL, rng.integers(*words))]
    if label not in DECIDING:
        return " ".join(chosen), None
    place = int(rng.integers(0, len(chosen)))
    chosen[place] = DECIDING[label]
    return " ".join(chosen), place


def word_pieces() -> Tokenizer:
    """BERT's kind: whole words, single letters for others, special tokens around."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *letters, *(f"##{x}" for x in letters)]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys([*names, ".", ",", "!", "'"]))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def byte_pairs() -> Tokenizer:
    """GPT-2's kind: bytes that merge to whole words, no mask token, no special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: dict[tuple[str, str], None] = {}
    for word in [*("\u0120" + word for word in WORDS.split()), *WORDS.split()]:
        merges |= {(word[:i], word[i]): None for i in range(1, len(word))}
    names = ["<|endoftext|>", *alphabet, *(one + other for one, other in merges)]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys(names))}
    made = Tokenizer(models.BPE(vocabulary, list(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


def small_text(name: str, classes: list[str], *, seed: int) -> TrainedText:
    """A random transformer of the catalogue entry's kind with two blocks, which reads 80 tokens."""
    entry = CATALOGUE[name]
    made = byte_pairs() if entry.model_type == "gpt2" else word_pieces()
    sizes: dict[str, int] = {
        "bert": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
                 "max_position_embeddings": 80},
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80, "bos_token_id": 0, "eos_token_id": 0},
    }[str(entry.model_type)]  # fmt: skip
    config = AutoConfig.for_model(str(entry.model_type), vocab_size=made.get_vocab_size(), use_cache=False, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_text_network(config, entry, classes=len(classes), dropout=0.0)
    network.eval().requires_grad_(False)
    return TrainedText(network, made, config, classes, name, 80, torch.device("cpu"))


def train(trained: TrainedText, *, texts: int, epochs: int, rate: float) -> float:
    """Teaches the network the planted words and leaves it frozen in eval mode; returns its accuracy on unseen texts."""
    labels = [CLASSES[i % 3] for i in range(texts)]
    tokens = trained.encode([planted(i, label)[0] for i, label in enumerate(labels)])
    answers = torch.arange(texts) % 3
    network = trained.network.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * -(-texts // 32))
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(epochs):
            for chosen in torch.randperm(texts, generator=generator).split(32):
                loss = nn.functional.cross_entropy(network(tokens.ids[chosen], tokens.mask[chosen]), answers[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    optimizer.zero_grad()
    network.eval().requires_grad_(False)
    unseen = trained.encode([planted(10_000 + i, CLASSES[i % 3])[0] for i in range(120)])
    with torch.inference_mode():
        return float((trained.logits(unseen).argmax(1) == torch.arange(120) % 3).float().mean())
