"""An augmentation spec and what it needs on this machine → changes of texts."""

import torch

from service.errors import Fault, Invalid
from service.specs.augmentation import Augmentation
from worker.backbones.back_translation import BackTranslator
from worker.backbones.sources import WeightSources, find_pair
from worker.data.texts.augmentation import TextTransform, explicit_text
from worker.data.texts.wordnet import WordNet, wordnet_available


def text_transform(augmentation: Augmentation, sources: WeightSources, *, device: torch.device) -> TextTransform | None:
    """The changes of training texts; None if there are none.

    Raises:
        Invalid: synonyms without WordNet, or back-translation without a pair of models, on this machine.
    """
    if not augmentation.is_random:
        return None
    spec = explicit_text(augmentation)
    wordnet = translate = None
    if spec.synonym_replacement:
        if not wordnet_available():
            raise _missing("synonym_replacement", "WordNet is not installed on the worker (Debian: wordnet-base)")
        wordnet = WordNet()
    if spec.back_translation:
        pair = find_pair(sources.directory)
        if pair is None:
            where = "the weights' directory has no folders marian-en-<language> and marian-<language>-en"
            raise _missing("back_translation", where)
        translate = BackTranslator.load(pair, device).translate
    return TextTransform(spec, wordnet, translate)


def _missing(name: str, reason: str) -> Invalid:
    fault = Fault(("body", "augmentation", name), "not-at-hand", reason)
    return Invalid(f"augmentation.{name}: {reason}.", errors=[fault])
