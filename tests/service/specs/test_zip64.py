"""Zip64 fields that nobody needs, as some writers add them."""

import io
import struct
import zlib

import pytest

from service.errors import ArchiveAmbiguous
from service.specs.archives import list_images
from tests.corpora import pets
from tests.corpora.zip_writer import write_zip


@pytest.mark.parametrize(
    ("wrong", "taken"), [({}, True), ({"size": 1}, False), ({"stored": 1}, False), ({"crc": 1}, False)]
)
def test_sizes_said_twice_are_to_be_the_same(wrong: dict[str, int], taken: bool) -> None:
    """Python before 3.11.4 writes the sizes and, where it is asked for zip64, the zip64 field of the same sizes."""
    part = pets.parts()[0]
    sizes = {"size": len(part.data), "stored": len(part.packed), "crc": zlib.crc32(part.data)}
    said = {name: value + wrong.get(name, 0) for name, value in sizes.items()}
    twice = struct.pack("<HHQQ", 1, 16, said["size"], said["stored"])
    content = write_zip([part.but(local={"extra": twice, "crc": said["crc"]}), *pets.parts()[1:]])
    if taken:
        assert len(list_images(io.BytesIO(content)).entries) == len(pets.parts())
        return
    with pytest.raises(ArchiveAmbiguous):
        list_images(io.BytesIO(content))
