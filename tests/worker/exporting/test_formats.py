"""What cannot be written, and what must not be."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from service.errors import ExportFailed
from tests.worker.backbones.networks import network
from worker.backbones.trained import TrainedNetwork
from worker.exporting.graph import traced
from worker.exporting.onnx_file import run_onnx, write_onnx
from worker.exporting.torch_file import check_carries_no_code, write_torch_export

PICKLES = [
    b"cos\nsystem\n(S'true'\ntR.",
    b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    b"\x80\x05\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
]


class Undecided(nn.Module):
    """Goes one way or the other by what it sees."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) if images.sum() > 3 else images.amax((2, 3))


class Exotic(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.special.bessel_j0(images).mean((2, 3))


def trained(built: nn.Module) -> TrainedNetwork:
    return TrainedNetwork(built, ["a", "b", "c"], "small_cnn", 32, torch.device("cpu"))


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "model.pt2"
    write_torch_export(traced(trained(network("small_cnn"))), path, {"classes": ["a"]})
    return path


def test_other_memory_formats_are_laid_out_afresh(tmp_path: Path) -> None:
    """Weights as the service holds them for many backbones: PyTorch would warn, and write them with their strides."""
    built = network("small_cnn").to(memory_format=torch.channels_last)
    write_torch_export(traced(trained(built)), tmp_path / "model.pt2", {})
    (listing,) = [data for name, data in members(tmp_path / "model.pt2").items() if "weights_config" in name]
    described = json.loads(listing)["config"]["network.block2.0.weight"]["tensor_meta"]
    assert [stride["as_int"] for stride in described["strides"]] == [32 * 9, 9, 3, 1]


def test_a_network_that_decides_cannot_be_traced() -> None:
    with pytest.raises(ExportFailed, match="cannot be traced"):
        traced(trained(Undecided()))


def test_an_operator_that_onnx_lacks(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="cannot be written as ONNX"):
        write_onnx(traced(trained(Exotic())), tmp_path / "model.onnx", {})


def test_a_file_that_onnx_runtime_cannot_run(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ExportFailed, match="ONNX Runtime cannot run"):
        run_onnx(tmp_path / "model.onnx", torch.zeros(1, 3, 8, 8), threads=1)


def test_s34_pytorch_would_have_pickled_the_traced_batch(tmp_path: Path) -> None:
    program = traced(trained(network("small_cnn")))
    program._example_inputs = ((torch.zeros(2, 3, 8, 8),), {})
    with pytest.raises(ExportFailed, match="neither JSON nor a plain tensor"):
        write_torch_export(program, tmp_path / "model.pt2", {})


def test_s34_every_member_is_json_a_mark_or_raw_bytes(archive: Path) -> None:
    check_carries_no_code(archive)
    for name, data in members(archive).items():
        assert not data.startswith((b"PK", b"\x80")) or "/weights/" in name
    assert [data for name, data in members(archive).items() if "sample_inputs" in name] == [b""]


@pytest.mark.parametrize("data", PICKLES)
@pytest.mark.parametrize("name", ["data/sample_inputs/model.pt", "extra/more", "extra/more.json", "byteorder"])
def test_s34_pickles_are_found(data: bytes, name: str, archive: Path, tmp_path: Path) -> None:
    content = members(archive)
    content[f"model/{name}"] = data
    write_members(tmp_path / "model.pt2", content)
    with pytest.raises(ExportFailed):
        check_carries_no_code(tmp_path / "model.pt2")


def test_s34_archives_in_the_archive_are_found(archive: Path, tmp_path: Path) -> None:
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as inner:
        inner.writestr("data.pkl", b"")
    write_members(tmp_path / "model.pt2", {**members(archive), "model/extra/more": nested.getvalue()})
    with pytest.raises(ExportFailed):
        check_carries_no_code(tmp_path / "model.pt2")


def test_s34_tensors_that_are_listed_as_pickles_are_found(archive: Path, tmp_path: Path) -> None:
    content = members(archive)
    (listing,) = [name for name in content if name.endswith("model_weights_config.json")]
    described = json.loads(content[listing])
    next(iter(described["config"].values()))["use_pickle"] = True
    write_members(tmp_path / "model.pt2", {**content, listing: json.dumps(described).encode()})
    with pytest.raises(ExportFailed):
        check_carries_no_code(tmp_path / "model.pt2")


def test_weights_may_begin_like_a_pickle(archive: Path, tmp_path: Path) -> None:
    content = members(archive)
    name = next(name for name in content if "/weights/weight_" in name)
    write_members(tmp_path / "model.pt2", {**content, name: b"\x80\x04" + content[name][2:]})
    check_carries_no_code(tmp_path / "model.pt2")
