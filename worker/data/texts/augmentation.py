"""Random changes of texts that leave their class alone; all follow from one seed.

A word is what stands between white space. EDA (Wei and Zou 2019, arXiv:1901.11196) draws a number of words; here each
word draws for itself, so that the field is the expected share of words.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.specs.augmentation import Augmentation, Policy
from worker.data.texts.wordnet import WordNet

TEXT_POLICIES: dict[Policy, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(random_deletion=0.05),
    "standard": Augmentation(random_deletion=0.1, random_swap=0.1),
    "strong": Augmentation(random_deletion=0.2, random_swap=0.2),
}
"""Of the transforms that need nothing else installed."""

_STOP_WORDS = (
    "a about after all also an and any are as at be been before but by can could did do does for from had has have he "
    "her his how i if in into is it its like may more most no nor not of off on one only or other our out over own s "
    "she should so some such t than that the their them then there these they this those to too under up very was we "
    "were what when where which while who will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that mean little by themselves, or turn a meaning round: they keep their place among synonyms."""

_WORD = re.compile(r"(\W*)(\w[\w'\u2019-]*?)(\W*)")
Translation = Callable[[Sequence[str]], list[str]]


def explicit_text(augmentation: Augmentation) -> Augmentation:
    """The transforms that a policy stands for; explicit ones as they are."""
    return TEXT_POLICIES[augmentation.policy] if augmentation.policy else augmentation


@dataclass
class TextTransform:
    """Changes the texts of a batch: back-translation, synonyms, swaps, deletions, in this order.

    Attributes:
        spec: explicit.
        wordnet: needed where there is `synonym_replacement`.
        translate: texts → the same in other words; needed where there is `back_translation`.
    """

    spec: Augmentation
    wordnet: WordNet | None = None
    translate: Translation | None = None
    _translated: dict[str, str] = field(default_factory=dict)

    def apply(self, texts: Sequence[str], seed: int) -> list[str]:
        """The texts changed; which changes are drawn depends on `seed` and the texts alone."""
        generator = random.Random(seed)
        if self.spec.back_translation and self.translate is not None:
            drawn = [generator.random() < self.spec.back_translation for _ in texts]
            known = self._translations([text for text, chosen in zip(texts, drawn, strict=True) if chosen])
            texts = [known[text] if chosen else text for text, chosen in zip(texts, drawn, strict=True)]
        return [self._changed(text, generator) for text in texts]

    def _changed(self, text: str, generator: random.Random) -> str:
        words = text.split()
        changed = words
        if self.spec.synonym_replacement and self.wordnet is not None:
            changed = replace_synonyms(changed, self.spec.synonym_replacement, self.wordnet, generator)
        if self.spec.random_swap:
            changed = swap_words(changed, self.spec.random_swap, generator)
        if self.spec.random_deletion:
            changed = delete_words(changed, self.spec.random_deletion, generator)
        return text if changed == words else " ".join(changed)

    def _translations(self, texts: Sequence[str]) -> Mapping[str, str]:
        """Each text is translated once: it comes out the same every time."""
        new = sorted(set(texts) - self._translated.keys())
        if new and self.translate is not None:
            self._translated |= zip(new, self.translate(new), strict=True)
        return self._translated


def delete_words(words: Sequence[str], probability: float, generator: random.Random) -> list[str]:
    """Each word goes with `probability`; one stays in any case."""
    kept = [word for word in words if generator.random() >= probability]
    return kept if kept or not words else [generator.choice(list(words))]


def swap_words(words: Sequence[str], probability: float, generator: random.Random) -> list[str]:
    """Each place changes its word, with `probability`, with another one's."""
    swapped = list(words)
    for place in range(len(swapped)):
        if len(swapped) > 1 and generator.random() < probability:
            other = generator.choice([at for at in range(len(swapped)) if at != place])
            swapped[place], swapped[other] = swapped[other], swapped[place]
    return swapped


def replace_synonyms(words: Sequence[str], probability: float, wordnet: WordNet, generator: random.Random) -> list[str]:
    """Each word that has synonyms, stop words apart, becomes one of them with `probability`.

    Punctuation around the word stays; a capital at its start does too.
    """
    return [_synonym(word, wordnet, generator) if generator.random() < probability else word for word in words]


def _synonym(word: str, wordnet: WordNet, generator: random.Random) -> str:
    found = _WORD.fullmatch(word)
    if found is None or found[2].lower() in STOP_WORDS:
        return word
    synonyms = wordnet.synonyms(found[2])
    if not synonyms:
        return word
    chosen = generator.choice(synonyms)
    return found[1] + (chosen[0].upper() + chosen[1:] if found[2][0].isupper() else chosen) + found[3]
