"""Texts → tokens: ids, mask, where each token stands in the text, and whether the text was cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from service.errors import ArtifactCorrupt


@dataclass(frozen=True)
class Tokens:
    """A batch of n texts, l tokens at most.

    Attributes:
        ids: [n, l] int64, padded to the right.
        mask: [n, l] int64, 1 where there is a token.
        offsets: of each text's tokens, [start, end) in characters (code points) of the text; (0, 0) for special tokens.
        truncated: whether tokens of the text were left out.
    """

    ids: Tensor
    mask: Tensor
    offsets: list[list[tuple[int, int]]]
    truncated: list[bool]

    def __len__(self) -> int:
        """Texts."""
        return len(self.offsets)


class TextEncoder:
    """A tokenizer as its network was trained with: special tokens added, at most `max_tokens` of them and others.

    `pad_id` fills batches up; it is masked, so any id would do: GPT-2 has none of its own and takes that of its end of
    text. A text without a single token becomes that one (GPT-2 adds no special tokens).
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, pad_id: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        self.tokenizer, self.max_tokens, self.pad_id = tokenizer, max_tokens, pad_id

    @property
    def mask_id(self) -> int | None:
        """The token that stood for a hidden one in pretraining; None if there was none."""
        for token in ("[MASK]", "<mask>"):
            found: int | None = self.tokenizer.token_to_id(token)
            if found is not None:
                return found
        return None

    def encode(self, texts: Sequence[str]) -> Tokens:
        """One batch."""
        ids, offsets, truncated = [], [], []
        for encoding in self.tokenizer.encode_batch(list(texts)):
            ids.append(encoding.ids or [self.pad_id])
            offsets.append([(start, end) for start, end in encoding.offsets] or [(0, 0)])
            truncated.append(bool(encoding.overflowing))
        padded, mask = pad(ids, self.pad_id)
        return Tokens(padded, mask, offsets, truncated)


def pad(ids: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids of n texts → [n, l] int64 as long as the longest, and the mask [n, l] int64."""
    longest = max(map(len, ids))
    padded = torch.full((len(ids), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros(len(ids), longest, dtype=torch.int64)
    for row, text in enumerate(ids):
        padded[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
        mask[row, : len(text)] = 1
    return padded, mask


def read_tokenizer(content: bytes | str) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`.

    Raises:
        ArtifactCorrupt: it is none.
    """
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    try:
        return Tokenizer.from_str(text)
    except Exception as error:
        raise ArtifactCorrupt("The tokenizer's file is damaged.") from error
