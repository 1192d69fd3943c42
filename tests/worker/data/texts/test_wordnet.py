"""Synonyms: from a database made by hand, and from WordNet itself where it is installed."""

import os
import re
from pathlib import Path

import pytest

from worker.data.texts.wordnet import PARTS, WORDNET, WordNet, wordnet_available

LICENCE = "  1 This software and database is being provided to you\n"
SYNSETS = {
    "noun": ["05 n 02 car 0 motor_car 0 000 | a vehicle", "06 n 02 car 1 gondola 0 000 | a cabin",
             "04 n 02 run 0 tally 2 000 | a score"],
    "verb": ["38 v 03 run 0 hurry 1 Scarper 0 000 | move fast"],
    "adj": ["00 a 02 galore(ip) 0 abundant 0 000 | in great numbers"],
    "adv": ["02 r 01 now 0 000 | at present"],
}  # fmt: skip
# lemma → synsets by rank, how many of them were met in tagged texts
LEMMAS = {
    "noun": {"car": ([0, 1], 2), "motor_car": ([0], 0), "gondola": ([1], 1), "run": ([2], 3), "tally": ([2], 0)},
    "verb": {"run": ([0], 9), "hurry": ([0], 1), "scarper": ([0], 0)},
    "adj": {"galore": ([0], 0), "abundant": ([0], 1)},
    "adv": {"now": ([0], 5)},
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    for part in PARTS:
        offsets, text = [], LICENCE
        for synset in SYNSETS[part]:
            offsets.append(len(text))
            text += f"{len(text):08d} {synset}\n"
        (tmp_path / f"data.{part}").write_text(text, "ascii")
        lines = [
            f"{lemma} {part[0]} {len(ranks)} 1 @ {len(ranks)} {tagged} {' '.join(f'{offsets[at]:08d}' for at in ranks)}"
            for lemma, (ranks, tagged) in LEMMAS[part].items()
        ]
        (tmp_path / f"index.{part}").write_text(LICENCE + "  \n".join([*lines, ""]), "ascii")
    return tmp_path


def test_synonyms_are_of_the_most_frequent_meaning(database: Path) -> None:
    wordnet = WordNet(database)
    assert wordnet.synonyms("car") == ["motor car"], "its first sense, not the gondola"
    assert wordnet.synonyms("run") == ["hurry", "Scarper"], "tagged more often as a verb"
    assert wordnet.synonyms("abundant") == ["galore"], "without the position in brackets"
    assert wordnet.synonyms("Gondola") == ["car"]
    assert wordnet.synonyms("now") == []
    assert wordnet.synonyms("tally") == [], "never met, so that its meanings are in no order"
    assert wordnet.synonyms("cars") == wordnet.synonyms("motor_car") == []


def test_whether_it_is_there(database: Path) -> None:
    assert wordnet_available(database)
    (database / "data.verb").unlink()
    assert not wordnet_available(database)


@pytest.fixture(scope="module")
def real() -> WordNet:
    if not wordnet_available():
        if os.environ.get("CI"):
            pytest.fail("CI needs WordNet (Debian: wordnet-base)")
        pytest.skip("WordNet is not installed (Debian: wordnet-base)")
    return WordNet()


def test_known_synonyms(real: WordNet) -> None:
    assert "car" in real.synonyms("automobile")
    assert real.synonyms("big") == ["large"]
    assert real.synonyms("begin")
    assert real.synonyms("qwertyuiop") == []


def test_every_synonym_shares_a_synset(real: WordNet) -> None:
    """By a plain search through the lines of the database, without the index."""
    words = ["film", "great", "awful", "music", "library", "fast", "play", "server", "page", "quickly", "game"]
    synsets = []
    for part in PARTS:
        for line in (WORDNET / f"data.{part}").read_text("ascii").splitlines():
            fields = line.split(" ")
            if line[0] != " ":
                members = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
                synsets.append({re.sub(r"\(.*\)", "", word).replace("_", " ").lower() for word in members})
    found = {word: real.synonyms(word) for word in words}

    assert sum(map(len, found.values())) > 10
    for word, synonyms in found.items():
        for synonym in synonyms:
            assert any({word, synonym.lower()} <= synset for synset in synsets), (word, synonym)
