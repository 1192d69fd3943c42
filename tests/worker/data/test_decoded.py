from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from service.errors import Stopped
from service.specs.images import decode_image
from tests.worker.training.orders import tinted, tinted_archive
from worker.backbones.pixels import PixelFormat
from worker.backbones.trained import TrainedNetwork
from worker.data.decoded import Archive
from worker.data.disk_cache import DiskCache, Entry, NoRoom

FORMAT = PixelFormat.of("tf_efficientnet_lite0", 24)


def never() -> None:
    """Nobody asks to stop."""


def archive(folder: Path, per_class: int = 5) -> Archive:
    path = folder / "tinted.zip"
    samples = tinted_archive(path, per_class=per_class).samples
    cache = DiskCache(folder / "cache", budget_bytes=10**9)
    return Archive(path, samples, digest="sha256:d1", cache=cache, spare=DiskCache(folder / "spare", budget_bytes=0))


def files(source: Archive) -> list[Path]:
    return list(source.cache.folder.glob("*/*"))


def test_training_sees_the_pixels_that_serving_sees(tmp_path: Path) -> None:
    source = archive(tmp_path)
    pixels = source.pixels(FORMAT, threads=2, tick=never)
    served = TrainedNetwork(torch.nn.Identity(), ["a"], "tf_efficientnet_lite0", 24, torch.device("cpu"))

    images = [decode_image(tinted(label, number)) for label in ("blue", "green", "red") for number in range(5)]
    assert pixels.shape == (15, 3, 24, 24)
    assert torch.equal(FORMAT.normalise(pixels), served.preprocess(images))


def test_images_are_decoded_once(tmp_path: Path) -> None:
    source = archive(tmp_path)
    first = source.pixels(FORMAT, threads=1, tick=never)
    source.path.unlink()
    second = source.pixels(FORMAT, threads=1, tick=never)

    assert torch.equal(first, second)
    assert [path.relative_to(source.cache.folder) for path in files(source)] == [Path("sha256-d1/pixels-24-bicubic.u8")]


def test_a_truncated_file_is_made_anew(tmp_path: Path) -> None:
    source = archive(tmp_path)
    first = source.pixels(FORMAT, threads=1, tick=never).clone()
    (file,) = files(source)
    file.write_bytes(file.read_bytes()[:100])

    assert torch.equal(source.pixels(FORMAT, threads=1, tick=never), first)


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    source = archive(tmp_path, per_class=30)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: source.pixels(FORMAT, threads=2, tick=never), range(4)))

    assert all(torch.equal(made[0], other) for other in made)
    assert len(files(source)) == 1


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop() -> None:
        raise Stopped("now")

    source = archive(tmp_path)
    with pytest.raises(Stopped):
        source.pixels(FORMAT, threads=1, tick=stop)
    assert files(source) == []


def test_sizes_do_not_share_a_file(tmp_path: Path) -> None:
    source = archive(tmp_path)
    small = source.pixels(PixelFormat.of("small_cnn", 16), threads=1, tick=never)
    assert small.shape[-1] == 16
    assert source.pixels(FORMAT, threads=1, tick=never).shape[-1] == 24


def test_pixels_stay_in_the_cache_while_somebody_has_them(tmp_path: Path) -> None:
    source = archive(tmp_path)
    nothing = DiskCache(source.cache.folder, budget_bytes=0)
    pixels = source.pixels(FORMAT, threads=1, tick=never)
    view = pixels[3:5]
    del pixels
    assert not nothing.make_room()
    del view
    assert nothing.make_room()
    assert files(source) == []


def test_pixels_that_may_be_written_to_are_private(tmp_path: Path) -> None:
    source = archive(tmp_path)
    pixels = source.pixels(FORMAT, threads=1, tick=never)
    before = pixels.clone()
    pixels.zero_()
    assert torch.equal(source.pixels(FORMAT, threads=1, tick=never), before)


def test_a_full_disk_sends_pixels_to_the_spare_one(tmp_path: Path) -> None:
    source = archive(tmp_path)
    full = FullCache(source.cache.folder, budget_bytes=10**9)
    spared = Archive(source.path, source.samples, digest="sha256:d1", cache=full, spare=source.spare)
    pixels = spared.pixels(FORMAT, threads=1, tick=never)

    assert torch.equal(pixels, source.pixels(FORMAT, threads=1, tick=never))
    assert len(list(source.spare.folder.glob("*/*"))) == 1


class FullCache(DiskCache):
    """On a disk without room."""

    def get(self, dataset: str, name: str, size_bytes: int, *_: object, **__: object) -> Entry:  # type: ignore[override]
        raise NoRoom(self.folder, size_bytes)
