"""Texts whose class is one word at a random place among neutral ones; the third class has no word of its own."""

import random

from tests.e2e.explaining.tables import written

DECIDING = {"garden": "tulip", "money": "invoice"}
CLASSES = [*DECIDING, "none"]
NEUTRAL = (
    "the a of and to in is was it for with on as at by this that film music game engine play sound server browser page "
    "library data model plot actor scene story song player tool small large fast slow user"
)


def planted_text(number: int, label: str, *, words: tuple[int, int] = (4, 6)) -> tuple[str, int | None]:
    """A text, and the place of the word in it that decides its class."""
    generator = random.Random(f"{number} {label}")
    chosen = [generator.choice(NEUTRAL.split()) for _ in range(generator.randint(*words))]
    if label not in DECIDING:
        return " ".join(chosen), None
    place = generator.randrange(len(chosen))
    chosen[place] = DECIDING[label]
    return " ".join(chosen), place


def texts() -> bytes:
    """240 of them, with their classes."""
    labels = [CLASSES[number % 3] for number in range(240)]
    return written(
        ["text", "label"],
        [(planted_text(number, label, words=(5, 9))[0], label) for number, label in enumerate(labels)],
    )
