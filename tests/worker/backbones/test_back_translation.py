"""Back-translation with small random MarianMT models: what is asked of them, and that it comes out the same."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import MarianConfig, MarianMTModel

from service.errors import ArtifactCorrupt, Invalid
from service.specs.augmentation import Augmentation
from worker.backbones.back_translation import BackTranslator, Translator
from worker.backbones.sources import WeightSources, find_pair
from worker.training.text_changes import text_transform

CPU = torch.device("cpu")
WORDS = ["<pad>", "</s>", "<unk>", *"the a good bad film game der die gut schlecht spiel".split()]  # noqa: SIM905


def write_marian(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = MarianConfig(
        vocab_size=len(WORDS), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=None, init_std=0.5, scale_embedding=True,
    )  # fmt: skip
    model = MarianMTModel(config)
    model.final_logits_bias[0, :3] = torch.tensor([-99.0, 0.0, -99.0])  # words, and sometimes an end
    model.save_pretrained(folder)
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.save(str(folder / "tokenizer.json"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_marian(tmp_path / "marian-en-de", 0)
    write_marian(tmp_path / "marian-de-en", 1)
    write_marian(tmp_path / "marian-en-aa", 2)
    return tmp_path


TEXTS = ["the good film", "a bad game", "the game"]


def test_a_pair_is_found_only_whole(directory: Path) -> None:
    pair = find_pair(directory)
    assert pair is not None
    assert (pair.there.name, pair.back.name) == ("marian-en-de", "marian-de-en"), "aa has no way back"
    (directory / "marian-de-en" / "tokenizer.json").unlink()
    assert find_pair(directory) is None
    assert find_pair(None) is None


def test_a_translation_is_what_marian_generates(directory: Path) -> None:
    model = MarianMTModel.from_pretrained(str(directory / "marian-en-de")).eval()
    expected = []
    for text in TEXTS:
        ids = torch.tensor([[*(WORDS.index(word) for word in text.split()), 1]])
        answer = model.generate(input_ids=ids, do_sample=False, num_beams=1, max_new_tokens=2 * ids.shape[1] + 10)[
            0
        ].tolist()
        expected.append([WORDS[at] for at in answer if at > 2])
    made = Translator.load(directory / "marian-en-de", CPU).translate(TEXTS)

    assert [text.split() for text in made] == expected
    assert all(made)


@pytest.mark.parametrize("forced_end", [None, 1])
def test_a_translation_does_not_depend_on_its_companions(directory: Path, forced_end: int | None) -> None:
    """Of models that never end by themselves, so that only the limit on tokens does."""
    model = MarianMTModel.from_pretrained(str(directory / "marian-en-de"))
    model.final_logits_bias[0, 1] = -99.0
    model.generation_config.forced_eos_token_id = forced_end
    model.save_pretrained(directory / "marian-en-de")
    translator = Translator.load(directory / "marian-en-de", CPU)
    texts = ["the game", "a good film the good film a bad game", "game"]
    made = translator.translate(texts)
    assert made == [translator.translate([text])[0] for text in texts]
    words = 10 if forced_end is None else 9
    assert [len(text.split()) for text in made] == [2 * 3 + words, 2 * 10 + words, 2 * 2 + words]


def test_there_and_back_is_the_same_every_time(directory: Path) -> None:
    pair = find_pair(directory)
    assert pair is not None
    torch.manual_seed(5)
    first = BackTranslator.load(pair, CPU).translate(TEXTS)
    torch.manual_seed(6)
    assert BackTranslator.load(pair, CPU).translate(TEXTS) == first
    assert len(first) == 3


def test_an_empty_answer_leaves_the_text_as_it_was() -> None:
    asked: list[Sequence[str]] = []

    def there(texts: Sequence[str]) -> list[str]:
        asked.append(texts)
        return [text.upper() for text in texts]

    translator = BackTranslator(there, lambda texts: ["" if "BAD" in text else f"{text}!" for text in texts])
    assert translator.translate(TEXTS) == ["THE GOOD FILM!", "a bad game", "THE GAME!"]
    assert asked == [TEXTS]


def test_a_damaged_model_is_refused(directory: Path) -> None:
    (directory / "marian-en-de" / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactCorrupt, match="marian-en-de"):
        Translator.load(directory / "marian-en-de", CPU)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = WeightSources(tmp_path)
    with pytest.raises(Invalid, match=r"augmentation\.back_translation: .* no folders marian-en-") as caught:
        text_transform(Augmentation(back_translation=0.5), sources, device=CPU)
    assert caught.value.errors[0].loc == ("body", "augmentation", "back_translation")
    monkeypatch.setattr("worker.training.text_changes.wordnet_available", lambda: False)
    with pytest.raises(Invalid, match=r"augmentation\.synonym_replacement: WordNet is not installed"):
        text_transform(Augmentation(synonym_replacement=0.1), sources, device=CPU)
    assert text_transform(Augmentation(policy="none"), sources, device=CPU) is None
    assert text_transform(Augmentation(policy="strong"), sources, device=CPU) is not None


def test_texts_are_changed_by_the_models_at_hand(directory: Path) -> None:
    transform = text_transform(Augmentation(back_translation=0.5), WeightSources(directory), device=CPU)
    assert transform is not None
    pair = find_pair(directory)
    assert pair is not None
    known = dict(zip(TEXTS, BackTranslator.load(pair, CPU).translate(TEXTS), strict=True))
    made = [transform.apply(TEXTS, seed) for seed in range(8)]
    assert all(
        new in (old, " ".join(known[old].split())) for texts in made for new, old in zip(texts, TEXTS, strict=True)
    )
    assert len({tuple(texts) for texts in made}) > 1
