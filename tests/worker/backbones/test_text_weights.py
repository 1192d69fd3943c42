"""Where a transformer's files come from: folder, package, the hub's cache, a download (random stand-ins)."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from service.errors import ArtifactCorrupt, UnknownBackbone
from tests.worker.backbones.tiny_texts import TEXTS, write_backbone
from worker.backbones import text_weights
from worker.backbones.sources import TEXT_FILES, WeightSources, weights_at_hand
from worker.backbones.text_weights import find_text
from worker.backbones.trained_text import TrainedText

BERT = "bert-base-uncased"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def assert_loaded(sources: WeightSources, folder: Path, name: str = BERT) -> None:
    body = find_text(name, sources).network(classes=2, dropout=0.0, pretrained=True).body.state_dict()
    published = load_file(folder / "model.safetensors")
    shared = [key for key in body if key in published]
    assert shared
    assert body.keys() == set(shared)
    assert all(torch.equal(body[key], published[key]) for key in shared)


@pytest.mark.parametrize("name", TEXTS)
def test_weights_from_a_folder(tmp_path: Path, name: str) -> None:
    folder = write_backbone(tmp_path, name)
    assert_loaded(WeightSources(tmp_path), folder, name)
    assert weights_at_hand(WeightSources(tmp_path))[name] == "local"


def test_the_packaged_minilm_is_that_of_sentence_transformers() -> None:
    """Its features, mean-pooled and scaled to length 1, tell alike texts from others as its card says it does."""
    source = find_text("all-MiniLM-L6-v2", WeightSources())
    network = source.network(classes=2, dropout=0.0, pretrained=True).eval()
    trained = TrainedText(network, source.tokenizer(), source.config, ["a", "b"], "all-MiniLM-L6-v2", 256,
                          torch.device("cpu"))  # fmt: skip
    tokens = trained.encode(["A man is eating food.", "A man is eating a piece of bread.", "A monkey plays drums."])
    with torch.inference_mode():
        outputs = network.body(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        weights = tokens.mask.unsqueeze(2)
        means = torch.nn.functional.normalize((outputs * weights).sum(1) / weights.sum(1), dim=1)
    likeness = (means @ means.T).numpy()

    assert trained.max_tokens == 256
    np.testing.assert_allclose(likeness[0, 1], 0.755, atol=0.01)  # sentence-transformers' documentation: 0.7553
    assert likeness[0, 2] < 0.2
    assert weights_at_hand(WeightSources())["all-MiniLM-L6-v2"] == "packaged"


def test_old_names_and_heads_of_pretraining_are_understood(tmp_path: Path) -> None:
    """bert-base-uncased's own file: `bert.` before every name, gamma and beta in its norms, a language head."""
    folder = write_backbone(tmp_path, BERT)
    plain = load_file(folder / "model.safetensors")
    old = {
        "bert." + key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for key, value in plain.items()
    }
    save_file(old | {"cls.predictions.bias": torch.zeros(7)}, folder / "model.safetensors", metadata={"format": "pt"})
    body = find_text(BERT, WeightSources(tmp_path)).network(classes=2, dropout=0.0, pretrained=True).body.state_dict()

    assert all(torch.equal(value, plain[key]) for key, value in body.items())


def hub_cache(folder: Path, repository: str, files: Path) -> Path:
    """As huggingface_hub lays it out."""
    repo = folder / f"models--{repository.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    shutil.copytree(files, snapshot)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    return folder


@pytest.mark.parametrize("repository", ["google-bert/bert-base-uncased", "bert-base-uncased"])
def test_weights_from_the_hubs_cache(tmp_path: Path, repository: str) -> None:
    files = write_backbone(tmp_path / "made", BERT)
    sources = WeightSources(hugging_face=hub_cache(tmp_path / "hub", repository, files))
    assert_loaded(sources, files)
    assert weights_at_hand(sources)[BERT] == "local"


class _Hub(SimpleHTTPRequestHandler):
    """`/<repository>/resolve/main/<file>` as the hub answers it."""

    def translate_path(self, path: str) -> str:
        return super().translate_path("/" + path.rpartition("/")[2])

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        super().end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A loopback server in place of the Hugging Face hub."""
    files = write_backbone(tmp_path / "served", BERT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, directory=str(files))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(text_weights, "HUB_URL", f"http://127.0.0.1:{server.server_port}")
        yield files
        server.shutdown()


def test_downloads_only_where_they_are_allowed(mirror: Path, tmp_path: Path) -> None:
    refused = WeightSources(hugging_face=tmp_path / "cache")
    with pytest.raises(UnknownBackbone, match="at hand are: all-MiniLM-L6-v2"):
        find_text(BERT, refused)
    allowed = WeightSources(hugging_face=tmp_path / "cache", allow_downloads=True)
    assert weights_at_hand(allowed)[BERT] == "downloadable"
    assert_loaded(allowed, mirror)
    assert weights_at_hand(refused)[BERT] == "local", "it has been cached"
    assert_loaded(refused, mirror)


def test_a_failed_download_says_so(mirror: Path, tmp_path: Path) -> None:
    (mirror / "model.safetensors").unlink()
    with pytest.raises(UnknownBackbone, match="could not be downloaded"):
        find_text(BERT, WeightSources(hugging_face=tmp_path / "cache", allow_downloads=True))


@pytest.mark.parametrize("missing", TEXT_FILES)
def test_a_folder_that_is_not_whole_is_passed_over(tmp_path: Path, missing: str) -> None:
    folder = write_backbone(tmp_path, BERT)
    (folder / missing).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(UnknownBackbone):
        find_text(BERT, WeightSources(tmp_path))


def test_files_that_do_not_fit_are_corrupt(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path, BERT)
    whole = (folder / "config.json").read_text("utf-8")
    for changed in (
        whole.replace('"bert"', '"gpt2"'),
        whole[:-5],
        json.dumps({"model_type": "bert", "vocab_size": "x"}),
    ):
        (folder / "config.json").write_text(changed, "utf-8")
        with pytest.raises(ArtifactCorrupt):
            find_text(BERT, WeightSources(tmp_path)).network(classes=2, dropout=0.0, pretrained=True)
    (folder / "config.json").write_text(whole, "utf-8")

    state = load_file(folder / "model.safetensors")
    key = "encoder.layer.0.output.dense.weight"
    for damaged in ({name: value for name, value in state.items() if name != key}, state | {key: torch.zeros(3, 3)}):
        save_file(damaged, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ArtifactCorrupt, match="do not fit"):
            find_text(BERT, WeightSources(tmp_path)).network(classes=2, dropout=0.0, pretrained=True)
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactCorrupt, match="do not fit"):
        find_text(BERT, WeightSources(tmp_path)).network(classes=2, dropout=0.0, pretrained=True)


def test_without_weights_the_network_is_random_and_seeded(tmp_path: Path) -> None:
    folder = write_backbone(tmp_path, BERT)
    source = find_text(BERT, WeightSources(tmp_path))
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(source.network(classes=2, dropout=0.0, pretrained=False).state_dict())
    key = "body.encoder.layer.0.output.dense.weight"
    assert torch.equal(made[0][key], made[1][key])
    assert not torch.equal(made[0][key], made[2][key])
    published = AutoModel.from_pretrained(str(folder)).state_dict()[key.removeprefix("body.")]
    assert not torch.equal(made[0][key], published)


def test_only_names_of_text_backbones() -> None:
    for name in ("resnet18", "../bert", "bert-large-uncased"):
        with pytest.raises(UnknownBackbone, match="no text backbone"):
            find_text(name, WeightSources(allow_downloads=True))
