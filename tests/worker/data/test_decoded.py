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

FORMAT = PixelFormat.of("tf_efficientnet_lite0", 24)


def never() -> None:
    """Nobody asks to stop."""


def archive(folder: Path, per_class: int = 5) -> Archive:
    path = folder / "tinted.zip"
    return Archive(path, tinted_archive(path, per_class=per_class).samples, digest="sha256:d1", cache=folder / "cache")


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
    assert [path.name for path in source.folder.iterdir()] == ["sha256-d1-24-bicubic.u8"]


def test_a_truncated_file_is_made_anew(tmp_path: Path) -> None:
    source = archive(tmp_path)
    first = source.pixels(FORMAT, threads=1, tick=never).clone()
    file = next(source.folder.iterdir())
    file.write_bytes(file.read_bytes()[:100])

    assert torch.equal(source.pixels(FORMAT, threads=1, tick=never), first)


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    source = archive(tmp_path, per_class=30)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: source.pixels(FORMAT, threads=2, tick=never), range(4)))

    assert all(torch.equal(made[0], other) for other in made)
    assert len(list(source.folder.iterdir())) == 1


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop() -> None:
        raise Stopped("now")

    source = archive(tmp_path)
    with pytest.raises(Stopped):
        source.pixels(FORMAT, threads=1, tick=stop)
    assert list(source.folder.iterdir()) == []


def test_sizes_do_not_share_a_file(tmp_path: Path) -> None:
    source = archive(tmp_path)
    small = source.pixels(PixelFormat.of("small_cnn", 16), threads=1, tick=never)
    assert small.shape[-1] == 16
    assert source.pixels(FORMAT, threads=1, tick=never).shape[-1] == 24
