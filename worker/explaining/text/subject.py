"""One text as its network sees it: tokens, words, and the serving answer."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from worker.backbones.tokens import pad
from worker.backbones.trained_text import TrainedText
from worker.explaining.lanes import lanes
from worker.explaining.meter import Meter
from worker.explaining.results import FloatArray
from worker.explaining.text.units import Word, words_of

Present = NDArray[np.bool_]
"""[b, m]: which words are there."""
TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 32_768}
"""In one forward."""
VARIANTS_AT_ONCE = 256


@dataclass(frozen=True)
class Subject:
    """A text to be explained.

    Attributes:
        ids: [l] int64, special tokens included, without padding.
        words: m of them, those that the network read.
        logits, probabilities: [c], what serving answers to the text.
    """

    text: str
    ids: NDArray[np.int64]
    words: list[Word]
    truncated: bool
    logits: FloatArray
    probabilities: FloatArray

    @property
    def word_of(self) -> NDArray[np.int64]:
        """[l]: the word of each token; m for special tokens and white space, which belong to none."""
        owner = np.full(len(self.ids), len(self.words), dtype=np.int64)
        for i, word in enumerate(self.words):
            owner[list(word.tokens)] = i
        return owner

    def only(self, words: NDArray[np.int64]) -> "Subject":
        """The words at these places [k], in order, with the special tokens; the answers are still the whole text's."""
        owner = self.word_of
        kept = np.flatnonzero(np.isin(owner, [*words, len(self.words)]))
        places = {int(before): after for after, before in enumerate(kept)}
        chosen = [self.words[i] for i in words]
        moved = [replace(word, tokens=tuple(places[token] for token in word.tokens)) for word in chosen]
        return replace(self, ids=self.ids[kept], words=moved)


def subject_of(trained: TrainedText, text: str) -> Subject:
    """Encodes a text and asks the serving network for its answer: one forward."""
    tokens = trained.encode([text])
    with torch.inference_mode():
        logits = trained.logits(tokens).float()
        probabilities = trained.probabilities(logits)
    return Subject(
        text,
        tokens.ids[0].numpy(),
        words_of(text, tokens.offsets[0]),
        tokens.truncated[0],
        logits[0].double().cpu().numpy(),
        probabilities[0].double().cpu().numpy(),
    )


def answered_by(trained: TrainedText, subject: Subject) -> Subject:
    """The same tokens with the answer of another network, or of other tokens than the text's: one forward."""
    with torch.inference_mode():
        ids = torch.from_numpy(subject.ids).unsqueeze(0)
        logits = trained.logits_from_embeddings(trained.embeddings(ids), torch.ones_like(ids)).float()
        probabilities = trained.probabilities(logits)
    return replace(
        subject,
        logits=logits[0].double().cpu().numpy(),
        probabilities=probabilities[0].double().cpu().numpy(),
    )


class HiddenWords:
    """The probabilities of some classes for a text of which only some words are there.

    A hidden word's tokens become the tokenizer's mask token, each by itself, so that the others keep their places; a
    removed word's tokens are left out, as they are if there is no such token (GPT-2). Variants are sent through
    sorted by length, so that little is padded.
    """

    def __init__(
        self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter, *,
        removed: bool = False, batch_size: int | None = None,
    ) -> None:  # fmt: skip
        self._trained = trained
        self._subject = subject
        self._owner = subject.word_of
        self._targets = targets
        self._meter = meter
        self._mask_id = None if removed else trained.encoder.mask_id
        self._batch_size = batch_size or texts_at_once(trained, len(subject.ids))

    def __call__(self, present: Present) -> FloatArray:
        """[b, m] bool to [b, t].

        Raises:
            Stopped: the work was asked to end.
        """
        always = np.ones((len(present), 1), dtype=bool)
        shown = np.concatenate([present, always], axis=1)[:, self._owner]
        order = np.argsort(shown.sum(axis=1), kind="stable")
        found = []
        with lanes(self._trained.device) as (count, side_by_side):
            step = min(self._batch_size, -(-len(order) // count))
            batches = [shown[order[i : i + step]] for i in range(0, len(order), step)]
            for start in range(0, len(batches), count):
                now = batches[start : start + count]
                found += side_by_side(self._answers, now)
                self._meter.count(forward=sum(map(len, now)))
        answers = np.empty((len(present), len(self._targets)))
        answers[order] = np.concatenate(found)
        return answers

    def _answers(self, shown: Present) -> FloatArray:
        ids = self._subject.ids
        if self._mask_id is None:
            pad_id = self._trained.encoder.pad_id
            variants, mask = pad([ids[row].tolist() or [pad_id] for row in shown], pad_id)
        else:
            variants = torch.from_numpy(np.where(shown, ids, self._mask_id))
            mask = torch.ones_like(variants)
        with torch.inference_mode():
            logits = self._trained.logits_from_embeddings(self._trained.embeddings(variants), mask).float()
            probabilities = self._trained.probabilities(logits)[:, self._targets]
        answers: FloatArray = probabilities.double().cpu().numpy()
        return answers


def texts_at_once(trained: TrainedText, tokens: int) -> int:
    """How many texts of so many tokens make a forward quick."""
    most = TOKENS_AT_ONCE["cpu" if trained.device.type == "cpu" else "cuda"]
    return max(1, min(VARIANTS_AT_ONCE, most // tokens))


def hidden_shows(trained: TrainedText, *, removed: bool = False) -> dict[str, str | None]:
    """What stood for a hidden word, as an explanation reports it."""
    mask_id = None if removed else trained.encoder.mask_id
    if mask_id is None:
        return {"kind": "removed", "token": None}
    return {"kind": "mask_token", "token": trained.tokenizer.id_to_token(mask_id)}
