"""Why a trained network took a text for a class: attributions of the words that the user wrote.

Shapes: l tokens of a text, special ones included, m words, c classes, t targets, b variants of a text in one forward,
d numbers of a word vector.

A word is what a reader takes for one (`units`); a tokenizer may cut it into several tokens. Methods hide words with
all their tokens. Special tokens are never hidden, nor white space. Words behind the network's limit were not read:
they get no attribution, and the item says `truncated`.
"""
