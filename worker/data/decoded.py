"""Decoded images as one memory-mapped file, shared by every trial on the same dataset and size."""

import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.specs.archives import read_entry
from service.specs.datasets import ImageSample
from service.specs.images import decode_image
from worker.backbones.pixels import PixelFormat

_AT_ONCE = 64


class Archive:
    """Images of a dataset's zip, and where their pixels are kept once decoded."""

    def __init__(self, path: Path, samples: list[ImageSample], *, digest: str, cache: Path) -> None:
        self.path, self.samples, self.digest = path, samples, digest
        self.folder = cache / "decoded"

    def pixels(self, pixel_format: PixelFormat, *, threads: int, tick: Callable[[], None]) -> Tensor:
        """[n, 3, s, s] uint8, in the order of the samples, backed by the file.

        Decoded on first use, with `threads` threads; `tick` is called every few images and may raise to stop.
        Several processes may do so at once: each writes a file of its own and the last rename stands.

        Raises:
            ImageError: an image cannot be decoded (validation lets none through).
            OSError: the archive is unreadable or the disk is full.
        """
        size = pixel_format.size
        file = self.folder / f"{self.digest.replace(':', '-')}-{size}-{pixel_format.interpolation}.u8"
        shape = (len(self.samples), 3, size, size)
        if not (file.is_file() and file.stat().st_size == int(np.prod(shape))):
            with replacing(file) as temporary:
                _reserve(temporary, int(np.prod(shape)))
                memory = np.memmap(temporary, np.uint8, "r+", shape=shape)
                self._decode(memory, pixel_format, threads, tick)
                memory.flush()
        return torch.from_file(str(file), shared=False, size=int(np.prod(shape)), dtype=torch.uint8).view(shape)

    def _decode(
        self, memory: NDArray[np.uint8], pixel_format: PixelFormat, threads: int, tick: Callable[[], None]
    ) -> None:
        with zipfile.ZipFile(self.path) as archive, ThreadPoolExecutor(threads) as pool:

            def decode(index: int) -> None:
                image = decode_image(read_entry(archive, self.samples[index].path))
                memory[index] = pixel_format.to_pixels(image)

            for start in range(0, len(self.samples), _AT_ONCE):
                list(pool.map(decode, range(start, min(start + _AT_ONCE, len(self.samples)))))
                tick()


def _reserve(file: Path, size_bytes: int) -> None:
    """A file of that size with its blocks on disk: writing to mapped holes on a full disk would kill the process."""
    with file.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, size_bytes)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside `file` that takes its place once the block is through; removed if it is not."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
