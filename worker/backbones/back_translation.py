"""Texts into another language and back, by a pair of MarianMT models from a local directory.

A model's folder has `config.json`, `model.safetensors` and `tokenizer.json` (a conversion of Marian's two SentencePiece
files and its vocabulary to one tokenizer, as exported for transformers.js; its special tokens are added by itself).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import MarianMTModel

from service.errors import ArtifactCorrupt
from worker.backbones.sources import Pair
from worker.backbones.tokens import pad, read_tokenizer

MOST_TOKENS = 256
_BATCH = 16


@dataclass(frozen=True)
class Translator:
    """One MarianMT model; greedy, so that a text comes out the same every time."""

    model: Any
    tokenizer: Tokenizer
    device: torch.device

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "Translator":
        """From safetensors; no code of the folder is run.

        Raises:
            ArtifactCorrupt: the folder does not hold a MarianMT model.
        """
        try:
            model: Any = MarianMTModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype="float32"
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ArtifactCorrupt(f"{folder.name} does not hold a MarianMT model.") from error
        tokenizer = read_tokenizer((folder / "tokenizer.json").read_bytes())
        tokenizer.no_padding()
        tokenizer.enable_truncation(min(MOST_TOKENS, model.config.max_position_embeddings))
        return cls(model.requires_grad_(False).to(device).eval(), tokenizer, device)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Each text in the other language."""
        made: list[str] = []
        for start in range(0, len(texts), _BATCH):
            encodings = self.tokenizer.encode_batch(list(texts[start : start + _BATCH]))
            most = [min(2 * len(encoding.ids) + 10, self._positions - 1) for encoding in encodings]
            ids, mask = pad([encoding.ids for encoding in encodings], int(self.model.config.pad_token_id))
            with torch.inference_mode():
                answers = self.model.generate(
                    input_ids=ids.to(self.device),
                    attention_mask=mask.to(self.device),
                    do_sample=False,
                    num_beams=1,
                    max_new_tokens=max(most),
                )
            # Each answer ends where it would end alone, or a translation would depend on the longest text beside it.
            # It begins with the decoder's start; alone, its last token would be the end where that is forced.
            start_tokens = 1 if self.model.generation_config.forced_eos_token_id is None else 0
            answers = [answer[: start_tokens + length] for answer, length in zip(answers.tolist(), most, strict=True)]
            made += self.tokenizer.decode_batch(answers, skip_special_tokens=True)
        return made

    @property
    def _positions(self) -> int:
        return int(self.model.config.max_position_embeddings)


@dataclass(frozen=True)
class BackTranslator:
    """Paraphrases (Sennrich et al. 2016; as augmentation, Xie et al. 2020)."""

    there: Callable[[Sequence[str]], list[str]]
    back: Callable[[Sequence[str]], list[str]]

    @classmethod
    def load(cls, pair: Pair, device: torch.device) -> "BackTranslator":
        """Both models of a pair."""
        return cls(Translator.load(pair.there, device).translate, Translator.load(pair.back, device).translate)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """The texts in other words; one that came back empty stays as it was."""
        returned = self.back(self.there(texts))
        return [new if new.strip() else old for old, new in zip(texts, returned, strict=True)]
