"""Changes of texts: what they keep, how often they act, and that a seed decides."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from service.specs.augmentation import Augmentation
from worker.data.texts.augmentation import (
    STOP_WORDS,
    TEXT_POLICIES,
    TextTransform,
    delete_words,
    explicit_text,
    replace_synonyms,
    swap_words,
)
from worker.data.texts.wordnet import WordNet

WORDS = [f"w{number}" for number in range(40)]
TEXTS = [" ".join(WORDS[start:]) for start in range(30)]


class Synonyms(WordNet):
    """Every word but `none` has two."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def synonyms(self, word: str) -> list[str]:
        self.asked.append(word)
        return [] if word == "none" else [f"{word}-one", f"{word} two"]


def is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_deletion_keeps_the_order_and_the_asked_for_share(share: float) -> None:
    generator = random.Random(0)
    kept = [delete_words(WORDS, share, generator) for _ in range(500)]

    assert all(is_subsequence(words, WORDS) for words in kept)
    expected = 1 - share
    tolerance = 4 * (share * expected / (500 * len(WORDS))) ** 0.5  # four standard errors
    assert abs(sum(map(len, kept)) / (500 * len(WORDS)) - expected) < tolerance


def test_deletion_leaves_a_word() -> None:
    generator = random.Random(0)
    assert {tuple(delete_words(["a", "b"], 0.9, generator)) for _ in range(300)} == {("a",), ("b",), ("a", "b")}
    assert delete_words([], 0.5, generator) == []


def test_swaps_keep_every_word() -> None:
    generator = random.Random(0)
    swapped = [swap_words(WORDS, 0.1, generator) for _ in range(500)]

    assert all(Counter(words) == Counter(WORDS) for words in swapped)
    moved = sum(new != old for words in swapped for new, old in zip(words, WORDS, strict=True)) / (500 * len(WORDS))
    assert 0.16 < moved < 0.2, "a tenth of the places, each with another one, fewer where they meet"
    assert swap_words(["alone"], 1.0, generator) == ["alone"]


def test_synonyms_take_the_place_of_single_words() -> None:
    generator = random.Random(0)
    changed = replace_synonyms(["Good", "the", "(game),", "none", "3:4"], 1.0, Synonyms(), generator)

    assert changed[0] in ("Good-one", "Good two"), "the synonym of a capitalised word is capitalised"
    assert changed[1] == "the"
    assert changed[2] in ("(game-one),", "(game two),")
    assert changed[3:] == ["none", "3:4"]
    words = [*WORDS, *STOP_WORDS]
    share = sum(new != old for new, old in zip(replace_synonyms(words * 50, 0.2, Synonyms(), generator), words * 50,
                                               strict=True)) / (50 * len(WORDS))  # fmt: skip
    assert abs(share - 0.2) < 0.04, "of the words that mean something"


@pytest.mark.parametrize(
    "spec",
    [
        Augmentation(random_deletion=0.3),
        Augmentation(random_swap=0.3),
        Augmentation(synonym_replacement=0.3),
        Augmentation(back_translation=0.5),
        Augmentation(random_deletion=0.2, random_swap=0.2, synonym_replacement=0.2, back_translation=0.5),
    ],
)
def test_the_seed_decides(spec: Augmentation) -> None:
    def made(seed: int) -> list[str]:
        return TextTransform(spec, Synonyms(), lambda texts: [text.upper() for text in texts]).apply(TEXTS, seed)

    assert made(1) == made(1)
    assert made(1) != made(2)
    assert made(1) != TEXTS


def test_a_text_that_nothing_was_drawn_for_stays_as_it_was() -> None:
    text = "two  spaces\tand a\nbreak"
    results = {TextTransform(Augmentation(random_deletion=0.05)).apply([text], seed)[0] for seed in range(40)}
    assert text in results
    assert len(results) > 1


def test_back_translation_takes_the_asked_for_share_and_translates_each_text_once() -> None:
    asked: list[str] = []

    def translate(texts: Sequence[str]) -> list[str]:
        asked.extend(texts)
        return [f"<{text}>" for text in texts]

    transform = TextTransform(Augmentation(back_translation=0.3), translate=translate)
    made = [transform.apply(TEXTS, seed) for seed in range(60)]

    assert all(new in (old, f"<{old}>") for texts in made for new, old in zip(texts, TEXTS, strict=True))
    share = sum(new != old for texts in made for new, old in zip(texts, TEXTS, strict=True)) / (60 * len(TEXTS))
    assert abs(share - 0.3) < 0.05
    assert sorted(asked) == sorted(set(asked))


def test_policies_grow_and_need_nothing_else() -> None:
    strengths = [sum(value or 0 for value in policy.transforms().values()) for policy in TEXT_POLICIES.values()]
    assert strengths == sorted(strengths)
    for policy in TEXT_POLICIES.values():
        assert policy.synonym_replacement is None
        assert policy.back_translation is None
    assert explicit_text(Augmentation(policy="light")).random_deletion == 0.05
    assert explicit_text(Augmentation(random_swap=0.3)).random_swap == 0.3
