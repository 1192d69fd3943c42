"""Synonyms from WordNet's own database files (Fellbaum 1998; `wndb(5)` describes them). Debian: `wordnet-base`.

Files: `index.<pos>` has a line `lemma pos synset_cnt p_cnt [pointer…] sense_cnt tagsense_cnt offset…`, its offsets the
senses by how often they were met; `data.<pos>` has at byte `offset` a synset, `offset lex_filenum ss_type w_cnt word
lex_id [word lex_id…] …`, `w_cnt` in hexadecimal.
"""

from dataclasses import dataclass
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
PARTS = ("noun", "verb", "adj", "adv")


def wordnet_available(folder: Path = WORDNET) -> bool:
    """Whether the database is installed here."""
    return all((folder / f"{file}.{part}").is_file() for part in PARTS for file in ("index", "data"))


@dataclass(frozen=True)
class Sense:
    """A word's most frequent meaning in one part of speech: where its synset lies, how many meanings were tagged."""

    part: str
    offset: int
    tagged: int


class WordNet:
    """Synonyms of single words as they stand: inflected forms have none, so that grammar is kept."""

    def __init__(self, folder: Path = WORDNET) -> None:
        self._folder = folder
        self._senses: dict[str, Sense] = {}
        self._known: dict[str, list[str]] = {}
        for part in PARTS:
            self._read_index(part)

    def synonyms(self, word: str) -> list[str]:
        """The other words of the synset of `word`'s most frequent meaning; none of words without a known one.

        WordNet orders meanings by how often they were met in tagged texts. Of a word that never was (for `chess` it
        has the grass first) nothing is known, and the part of speech is the one with the most meanings met.
        """
        word = word.lower()
        if word not in self._known:
            sense = self._senses.get(word)
            words = self._synset(sense) if sense else []
            self._known[word] = [other for other in words if other.lower() != word]
        return self._known[word]

    def _read_index(self, part: str) -> None:
        with (self._folder / f"index.{part}").open(encoding="ascii") as file:
            for line in file:
                if line.startswith(" ") or "_" in (lemma := line[: line.index(" ")]):
                    continue
                fields = line.split()
                senses, pointers = int(fields[2]), int(fields[3])
                sense = Sense(part, int(fields[-senses]), int(fields[5 + pointers]))
                known = self._senses.get(lemma)
                if sense.tagged > (known.tagged if known else 0):
                    self._senses[lemma] = sense

    def _synset(self, sense: Sense) -> list[str]:
        with (self._folder / f"data.{sense.part}").open("rb") as file:
            file.seek(sense.offset)
            fields = file.readline().decode("ascii").split()
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word.split("(")[0].replace("_", " ") for word in words]  # an adjective's position stands in brackets
