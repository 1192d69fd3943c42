"""Hostile images, and what is left of an image file once it is decoded."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from service.errors import ImageTooLarge, ServiceError
from service.specs.images import MAX_IMAGE_BYTES, decode_image, open_image
from tests.corpora.images import Case, cases
from tests.corpora.pets import plain
from tests.corpora.pictures import (
    chunk,
    encode,
    header,
    picture,
    png,
    profile,
    raw_png,
    with_chunks,
)

Pixels = NDArray[np.int16]
TRUTH = np.asarray(picture(), np.int16)


def decoded(content: bytes) -> Pixels:
    image = decode_image(content)
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image, np.int16)


def check(builder: Callable[[], Case]) -> None:
    content, slug = builder()
    with pytest.raises(ServiceError) as caught:
        decode_image(content)
    assert caught.value.slug == slug


@pytest.mark.parametrize("builder", cases("s24").values(), ids=cases("s24"))
def test_s24_other_kinds(builder: Callable[[], Case]) -> None:
    check(builder)


@pytest.mark.parametrize("builder", cases("s25").values(), ids=cases("s25"))
def test_s25_images_that_expand(builder: Callable[[], Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their headers are enough to refuse them."""

    def load(_image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    check(builder)


@pytest.mark.parametrize("name", [name for name in cases("s25") if "megapixels" in name or "thread" in name])
def test_s25_is_seen_in_the_header(name: str) -> None:
    with pytest.raises(ImageTooLarge):
        open_image(cases("s25")[name]()[0])


def test_s25_too_many_bytes() -> None:
    with pytest.raises(ImageTooLarge):
        open_image(io.BytesIO(png() + bytes(MAX_IMAGE_BYTES)))


def test_s25_40_megapixels_are_taken() -> None:
    content = raw_png(header(8000, 5000, depth=1, colour=0), [b"\x00" * 1000] * 5000)
    assert open_image(content).size == (8000, 5000)


@pytest.mark.parametrize("builder", cases("s26").values(), ids=cases("s26"))
def test_s26_several_frames(builder: Callable[[], Case]) -> None:
    check(builder)


def test_s26_a_gain_map_is_no_second_frame() -> None:
    """Phones store one picture and a gain map for bright screens as a multi-picture file ("Ultra HDR")."""
    content = cases("s26")["s26_mpo"]()[0]
    xmp = b'http://ns.adobe.com/xap/1.0/\x00<rdf:Description hdrgm:Version="1.0"/>'
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    assert np.abs(decoded(content[:2] + segment + content[2:]) - TRUTH).mean() < 12


@pytest.mark.parametrize("builder", cases("s27").values(), ids=cases("s27"))
def test_s27_cut_short_or_damaged(builder: Callable[[], Case]) -> None:
    check(builder)


def test_s29_png_and_zip_at_once() -> None:
    polyglot = png() + plain()
    image = decode_image(polyglot)
    assert (np.asarray(image, np.int16) == TRUTH).all()
    assert b"PK\x03\x04" not in encode(image)


def test_s29_nothing_but_pixels_is_kept() -> None:
    secret = b"<script>alert(1)</script>"
    text = chunk(b"tEXt", b"Comment\x00" + secret) + chunk(b"zTXt", b"x\x00\x00" + zlib.compress(secret))
    profiled = with_chunks(png(), text, chunk(b"iCCP", b"x\x00\x00" + zlib.compress(profile())))
    jpeg = encode(picture(), "JPEG", comment=secret, icc_profile=profile())
    for content in (profiled, jpeg + secret):
        image = decode_image(content)
        for kind in ("PNG", "JPEG"):
            assert secret not in encode(image, kind)
            assert profile()[:64] not in encode(image, kind)
        assert encode(image) == encode(Image.fromarray(np.asarray(image)))


def test_s29_a_huge_comment_is_not_unpacked() -> None:
    bomb = chunk(b"zTXt", b"x\x00\x00" + zlib.compress(bytes(100_000_000))) * 10
    content = with_chunks(png(), bomb)
    tracemalloc.start()
    assert (decoded(content) == TRUTH).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(content)


def test_streams_are_read_from_their_start() -> None:
    stream = io.BytesIO(png())
    stream.read(20)
    assert decode_image(stream).size == (48, 32)
    assert open_image(stream).size == (48, 32)
