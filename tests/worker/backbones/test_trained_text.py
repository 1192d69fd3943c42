"""Every text backbone: tokens and offsets, against transformers' own forward, padding, saving, gradients."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from service.errors import ArtifactCorrupt
from service.specs.backbones import CATALOGUE
from tests.worker.backbones.tiny_texts import TEXTS, tiny_text, write_backbone
from worker.backbones.layer_depths import layer_depths
from worker.backbones.parts import body_of, head_of, is_decayed, last_stage_paths, trainable_modules
from worker.backbones.text_network import build_text_network, read_config
from worker.backbones.trained_text import TrainedText, load_text, save_text

CPU = torch.device("cpu")
SAID = ["the film was great", "a small 😀 game, 漢字 and naïve café players", "slow"]


@pytest.fixture(params=TEXTS)
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> TrainedText:
    return tiny_text(tmp_path, request.param)


def saved(trained: TrainedText, folder: Path) -> tuple[dict[str, object], dict[str, bytes]]:
    folder.mkdir()
    save_text(trained, folder, dropout=0.1)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return json.loads(files["config.json"]), files


def test_logits_are_the_head_of_what_transformers_answers(trained: TrainedText, tmp_path: Path) -> None:
    theirs = AutoModel.from_pretrained(str(tmp_path / trained.backbone)).eval()
    tokens = trained.encode(SAID)
    with torch.inference_mode():
        ours = trained.logits(tokens)
        for row, count in enumerate(tokens.mask.sum(dim=1).tolist()):
            layers = theirs(input_ids=tokens.ids[row : row + 1, :count], output_hidden_states=True).hidden_states
            means = torch.cat([unit(layers[at][0].mean(dim=0)) for at in (0, 1, len(layers) - 1)])
            outputs = layers[-1][0]
            pooled = {"layers": means, "first": outputs[0], "last": outputs[-1]}[trained.entry.pooling]
            torch.testing.assert_close(ours[row], trained.network.head(pooled), atol=1e-5, rtol=1e-4)


def unit(values: torch.Tensor) -> torch.Tensor:
    """Scaled to a mean square of 1."""
    return values / values.square().mean().sqrt()


def test_padding_changes_nothing(trained: TrainedText) -> None:
    together = trained.logits(trained.encode(SAID))
    for row, text in enumerate(SAID):
        torch.testing.assert_close(trained.logits(trained.encode([text]))[0], together[row], atol=1e-5, rtol=1e-4)
    assert together.std() > 0.05, "the outputs tell texts apart"


def test_embeddings_lead_to_the_same_logits_and_have_gradients(trained: TrainedText) -> None:
    tokens = trained.encode(SAID)
    embedded = trained.embeddings(tokens.ids).requires_grad_(True)
    logits = trained.logits_from_embeddings(embedded, tokens.mask)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), embedded)

    assert torch.equal(logits, trained.logits(tokens))
    assert (gradient.abs().sum(dim=2) > 0)[tokens.mask.bool()].all(), "every token counts"
    torch.testing.assert_close(gradient[tokens.mask == 0], torch.zeros_like(gradient[tokens.mask == 0]))


def test_offsets_are_characters_of_the_text(trained: TrainedText) -> None:
    text = "the 😀 game: 漢 naïve\u0301 end"
    tokens = trained.encode([text])
    spans = [(start, end) for start, end in tokens.offsets[0] if start < end]

    assert next(text[start:end] for start, end in spans).startswith("t")
    assert {at for start, end in spans for at in range(start, end)} >= {
        at for at, letter in enumerate(text) if not letter.isspace() and letter != "\u0301"
    }
    emoji = text.index("😀")
    assert [span for span in spans if span[0] <= emoji < span[1]], "the emoji is one character, whatever its tokens"
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(spans[at][0] <= spans[at + 1][0] for at in range(len(spans) - 1))


def test_a_long_text_is_cut_and_said_to_be(trained: TrainedText) -> None:
    fits, long = "game", "game " * 60
    tokens = trained.encode([fits, long])

    assert tokens.truncated == [False, True]
    assert int(tokens.mask[1].sum()) == trained.max_tokens == 40 == tokens.ids.shape[1]
    whole = trained.encode(["game " * 30])
    assert torch.equal(tokens.ids[1, -1:], whole.ids[0, -1:]), "the closing special token is kept"


def test_a_text_without_tokens_has_logits(trained: TrainedText) -> None:
    assert trained.logits(trained.encode(["", SAID[0]])).isfinite().all()


def test_saved_and_loaded_it_answers_the_same(trained: TrainedText, tmp_path: Path) -> None:
    trained.temperature = 1.7
    config, files = saved(trained, tmp_path / "model")
    again = load_text(config, files, CPU)
    tokens = trained.encode(SAID)

    assert torch.equal(again.logits(again.encode(SAID)), trained.logits(tokens))
    assert torch.equal(again.probabilities(again.logits(tokens)), trained.probabilities(trained.logits(tokens)))
    assert (again.classes, again.max_tokens, again.text_column) == (trained.classes, 40, "text")
    assert again.encode(SAID).offsets == tokens.offsets
    assert config["input"] == {"max_tokens": 40, "text": "text"}
    assert str(tmp_path) not in files["config.json"].decode()
    assert not any(parameter.requires_grad for parameter in again.network.parameters())


def test_what_does_not_fit_is_corrupt(tmp_path: Path) -> None:
    config, files = saved(tiny_text(tmp_path), tmp_path / "model")
    other = dict(files, **{"tokenizer.json": b"{"})
    kind = config | {"transformer": dict(config["transformer"], model_type="gpt2")}  # type: ignore[call-overload]
    for wrong, given in [
        (config | {"format": "other"}, files),
        (config | {"classes": ["a", "b"]}, files),
        (config | {"temperature": 0.0}, files),
        (config | {"weights": "../model"}, files),
        (config, other),
        (kind, files),
    ]:
        with pytest.raises(ArtifactCorrupt):
            load_text(wrong, given, CPU)


@pytest.mark.parametrize("name", TEXTS)
def test_the_catalogue_has_the_parameters_of_the_published_network(name: str) -> None:
    published = {"roberta": {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}}
    small = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    entry = CATALOGUE[name]
    facts = small if "MiniLM" in name else published.get(str(entry.model_type), {})
    with torch.device("meta"):
        config = read_config({"model_type": entry.model_type, **facts}, entry)
        built = build_text_network(config, entry, classes=3, dropout=0.0)

    assert sum(parameter.numel() for parameter in built.body.parameters()) == entry.parameters


def test_parts_and_depths(trained: TrainedText) -> None:
    network, name = trained.network, trained.backbone
    tokens = trained.encode(SAID)
    features = body_of(network, name)(tokens.ids, tokens.mask)
    assert torch.equal(head_of(network, name)(features), trained.logits(tokens))

    stage = last_stage_paths(network, name)
    blocks = {"all-MiniLM-L6-v2": "body.encoder.layer.2", "bert-base-uncased": "body.encoder.layer.2",
              "distilbert-base-uncased": "body.transformer.layer.1", "roberta-base": "body.encoder.layer.1",
              "gpt2": "body.h.1"}  # fmt: skip
    assert stage == [blocks[name], *(["body.ln_f"] if name == "gpt2" else [])]
    assert trainable_modules(network, name, "last_stage")[-1] is network.head

    depths = layer_depths(network, name)
    assert depths.keys() == dict(network.named_parameters()).keys()
    assert set(depths.values()) == set(range(max(depths.values()) + 1))
    assert {key for key, depth in depths.items() if depth == 0} == {"head.weight", "head.bias"}
    assert {key for key, depth in depths.items() if depth == 1} == {
        key for key in depths if key.startswith(tuple(f"{path}." for path in stage))
    }
    decayed = {key for key, value in network.named_parameters() if is_decayed(key, value)}
    assert not any("norm" in key.lower() or "ln_" in key or key.endswith("bias") for key in decayed)


def test_last_stage_of_the_published_depths() -> None:
    entry = CATALOGUE["bert-base-uncased"]
    with torch.device("meta"):
        built = build_text_network(read_config({"model_type": "bert"}, entry), entry, classes=2, dropout=0.0)
    assert last_stage_paths(built, entry.name) == [f"body.encoder.layer.{at}" for at in (9, 10, 11)]


def test_code_of_a_repository_is_not_run(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path, "bert-base-uncased")
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n", "utf-8")
    facts = json.loads((folder / "config.json").read_text("utf-8"))
    facts["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(facts), "utf-8")
    trained = tiny_from(tmp_path)

    assert trained.logits(trained.encode(SAID)).isfinite().all()
    assert not marker.exists()


def tiny_from(directory: Path) -> TrainedText:
    from worker.backbones.sources import WeightSources
    from worker.backbones.text_weights import find_text

    source = find_text("bert-base-uncased", WeightSources(directory))
    network = source.network(classes=2, dropout=0.0, pretrained=True).eval()
    return TrainedText(network, source.tokenizer(), source.config, ["a", "b"], "bert-base-uncased", 40, CPU)
