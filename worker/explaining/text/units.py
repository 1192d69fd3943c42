"""The words of a text, and which tokens each of them became."""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

Span = tuple[int, int]
"""[start, end) in characters (code points) of the user's text."""

_WITHOUT_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}"
_WORDS = regex.compile(
    rf"(?V1)[{_WITHOUT_SPACES}]\p{{M}}*"  # scripts that do not part words: each character
    rf"|[\w--[{_WITHOUT_SPACES}]]+(?:(?:['\u2019]|(?<=\d)[.,](?=\d))[\w--[{_WITHOUT_SPACES}]]+)*"  # don't, 1,000.5
    r"|\p{P}+"  # a run of punctuation
    r"|(?!\s)\X"  # any other sign as one sees it: an emoji with its modifiers
)


@dataclass(frozen=True)
class Word:
    """A part of the text from `start` to `end`, and the places of its tokens among the text's tokens."""

    start: int
    end: int
    tokens: tuple[int, ...]


def words_of(text: str, offsets: Sequence[Span]) -> list[Word]:
    """The words that the network read, in the order of the text.

    Where a token reaches over several of them (a tokenizer may take five emojis for one unknown sign), they are one.
    Words without a token are left out: the network did not see them, be it that the text was cut before, or that the
    tokenizer drops such signs.

    Args:
        text: as the user sent it.
        offsets: [l] of each token; empty spans for special tokens.
    """
    spans = [match.span() for match in _WORDS.finditer(text)]
    owner = {place: i for i, (start, end) in enumerate(spans) for place in range(start, end)}
    touched = [sorted({owner[place] for place in range(start, end) if place in owner}) for start, end in offsets]
    group = list(range(len(spans)))
    for several in touched:
        for i in several:
            group[i] = min(group[i], group[several[0]])
    members: dict[int, list[int]] = {}
    for token, several in enumerate(touched):
        if several:
            members.setdefault(group[several[0]], []).append(token)
    ends: dict[int, int] = {}
    for (_, end), first in zip(spans, group, strict=True):
        ends[first] = max(end, ends.get(first, 0))
    return [Word(spans[first][0], ends[first], tuple(tokens)) for first, tokens in sorted(members.items())]
