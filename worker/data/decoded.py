"""Decoded images as one memory-mapped file, shared by every trial on the same dataset and size."""

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from service.specs.archives import read_entry
from service.specs.datasets import ImageSample
from service.specs.images import decode_image
from worker.backbones.pixels import PixelFormat
from worker.data.disk_cache import DiskCache, NoRoom
from worker.data.mapped import TensorFile

_AT_ONCE = 64


class Archive:
    """Images of a dataset's zip, and where their pixels are kept once decoded.

    `spare` takes the pixels when the cache's disk is full.
    """

    def __init__(
        self, path: Path, samples: list[ImageSample], *, digest: str, cache: DiskCache, spare: DiskCache
    ) -> None:
        self.path, self.samples, self.digest = path, samples, digest
        self.cache, self.spare = cache, spare

    def pixels(self, pixel_format: PixelFormat, *, threads: int, tick: Callable[[], None]) -> Tensor:
        """[n, 3, s, s] uint8, in the order of the samples, backed by a file.

        Decoded on first use, with `threads` threads, by one process while others wait; `tick` is called every few
        images, and while waiting, and may raise to stop.

        Raises:
            ImageError: an image cannot be decoded (validation lets none through).
            OSError: the archive is unreadable or both disks are full.
        """
        size = pixel_format.size
        file = TensorFile(
            self.digest,
            f"pixels-{size}-{pixel_format.interpolation}.u8",
            np.uint8,
            (len(self.samples), 3, size, size),
        )

        def fill(memory: NDArray[Any]) -> None:
            self._decode(memory, pixel_format, threads, tick)

        try:
            return file.get(self.cache, fill, tick=tick)
        except NoRoom:
            return file.get(self.spare, fill, tick=tick)

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
