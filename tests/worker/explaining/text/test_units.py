"""What counts as a word, and which tokens belong to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.explaining.text.planted import byte_pairs, word_pieces
from worker.explaining.text.units import words_of


def by_character(text: str) -> list[str]:
    return [text[word.start : word.end] for word in words_of(text, [(i, i + 1) for i in range(len(text))])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One", ["One"]),
        ("I don't; you can\u2019t!", ["I", "don't", ";", "you", "can\u2019t", "!"]),
        ("3,000.50 € e.g. a.b", ["3,000.50", "€", "e", ".", "g", ".", "a", ".", "b"]),
        ("well-known... (yes)", ["well", "-", "known", "...", "(", "yes", ")"]),
        ("久石譲 piano かな", ["久", "石", "譲", "piano", "か", "な"]),
        ("ok\U0001f44d\U0001f3fd!", ["ok", "\U0001f44d\U0001f3fd", "!"]),
        ("\U0001f468\u200d\U0001f467\U0001f600", ["\U0001f468\u200d\U0001f467", "\U0001f600"]),
        ("हिन्दी and e\u0301te\u0301", ["हिन्दी", "and", "e\u0301te\u0301"]),
        ("\n\ttwo  words\r\n", ["two", "words"]),
        (" \n ", []),
        ("", []),
    ],
)  # fmt: skip
def test_words(text: str, words: list[str]) -> None:
    assert by_character(text) == words


@given(st.text(max_size=60))
def test_words_are_the_text_without_white_space(text: str) -> None:
    """In order, none twice, nothing left out that is not white space; offsets are those of the user's own text."""
    words = words_of(text, [(i, i + 1) for i in range(len(text))])
    ends = [0]
    for word in words:
        assert ends[-1] <= word.start < word.end
        assert word.tokens == tuple(range(word.start, word.end))
        ends.append(word.end)
    covered = {place for word in words for place in range(word.start, word.end)}
    assert all(text[i].isspace() for i in range(len(text)) if i not in covered)


def test_a_token_over_several_words_makes_them_one() -> None:
    (together, alone) = words_of("\U0001f600\U0001f601 a", [(0, 0), (0, 2), (3, 4), (0, 0)])
    assert (together.start, together.end, together.tokens) == (0, 2, (1,))
    assert (alone.start, alone.end, alone.tokens) == (3, 4, (2,))


def test_words_that_were_not_read_are_left_out() -> None:
    assert [(word.start, word.end) for word in words_of("one two three", [(0, 0), (0, 3), (4, 7), (0, 0)])] == [
        (0, 3), (4, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["great film", "a\U0001f600\U0001f601b 久石 zürich don't", "  spaced \n out  "])
def test_every_token_of_real_tokenizers_has_its_word(text: str) -> None:
    for tokenizer in (word_pieces(), byte_pairs()):
        encoding = tokenizer.encode(text)
        words = words_of(text, encoding.offsets)
        owned = [token for word in words for token in word.tokens]
        assert len(owned) == len(set(owned))
        for token, (start, end) in enumerate(encoding.offsets):
            assert (token in owned) == bool(text[start:end].strip())
        assert "".join(text[word.start : word.end] for word in words) == "".join(text.split())
