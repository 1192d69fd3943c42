"""Which images are taken, and how an upload becomes the pixels that a person would see.

Torch-free: the API checks headers with it before it accepts an input, the workers decode with it.
"""

import functools
import io
import struct
import zlib
from typing import IO

from PIL import Image, ImageCms

from service.errors import ImageAnimated, ImageCorrupt, ImageTooLarge, UnsupportedImage
from service.specs.image_jpeg import read_jpeg
from service.specs.image_parts import StillImage
from service.specs.image_png import SIGNATURE, lacks_rows, read_png
from service.specs.image_webp import read_webp

MAX_PIXELS = 40_000_000
MAX_REQUEST_PIXELS = 200_000_000
"""Of all inputs of one prediction or explanation: they are decoded together."""
MAX_ASPECT_RATIO = 100  # resizing a thinner one to a usual height would take more memory than its pixels did
MAX_IMAGE_BYTES = 32 * 1024 * 1024

# what Pillow's readers raise over broken files: they trust much and check late
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError),
    *(AttributeError, AssertionError, struct.error, zlib.error),
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255)


def open_image(source: bytes | IO[bytes]) -> Image.Image:
    """Opens one still image lazily: container and header checked, no pixel decoded, no metadata kept.

    Raises:
        UnsupportedImage: not JPEG, PNG or WebP.
        ImageAnimated: several frames (APNG, MPO, animated WebP).
        ImageTooLarge: more than `MAX_PIXELS`, `MAX_IMAGE_BYTES` or `MAX_ASPECT_RATIO`.
        ImageCorrupt: the header cannot be read.
    """
    return _open(_read_still(source))


def decode_image(source: bytes | IO[bytes]) -> Image.Image:
    """The whole image as 8-bit sRGB, turned as displayed: EXIF applied, 16 bit scaled, alpha over white.

    Raises:
        UnsupportedImage, ImageAnimated, ImageTooLarge, ImageCorrupt: as `open_image`; the last also when pixels
            are missing.
    """
    still = _read_still(source)
    image = _open(still)
    try:
        if still.format == "PNG" and lacks_rows(still.encoded):
            raise ImageCorrupt("The image's pixels are cut short.")
        image.load()
        colour, alpha = _split_alpha(image)
        colour = _to_srgb(colour, still.profile)
    except _BROKEN as error:
        raise ImageCorrupt("The image's pixels cannot be decoded.") from error
    if alpha is not None:
        ground = Image.new("RGB", colour.size, _WHITE)
        ground.paste(colour, mask=alpha)
        colour = ground
    if still.orientation in _TURNS:
        colour = colour.transpose(_TURNS[still.orientation])
    colour.info = {}
    return colour


def _read_still(source: bytes | IO[bytes]) -> StillImage:
    if isinstance(source, bytes):
        content = source
    else:
        source.seek(0)
        content = source.read(MAX_IMAGE_BYTES + 1)
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageTooLarge(f"The image has more than {MAX_IMAGE_BYTES} bytes.")
    if content.startswith(b"\xff\xd8\xff"):
        still = read_jpeg(content)
    elif content.startswith(SIGNATURE):
        still = read_png(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        still = read_webp(content)
    else:
        raise UnsupportedImage("The file is not a JPEG, PNG or WebP image.")
    shorter, longer = sorted((still.width, still.height))
    if shorter == 0:
        raise ImageCorrupt("The image has no pixels.")
    if shorter * longer > MAX_PIXELS:
        raise ImageTooLarge(f"The image has {shorter * longer} pixels; {MAX_PIXELS} are allowed.")
    if longer > shorter * MAX_ASPECT_RATIO:
        raise ImageTooLarge(f"The image is more than {MAX_ASPECT_RATIO} times as long as it is wide.")
    return still


def _open(still: StillImage) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(still.encoded), formats=(still.format,))
    except _BROKEN as error:
        raise ImageCorrupt("The image's header cannot be read.") from error
    if image.format != still.format or getattr(image, "n_frames", 1) != 1:
        raise ImageAnimated("The image has several frames; only still images are taken.")
    if image.size != (still.width, still.height):
        raise ImageCorrupt("The image has two sizes.")
    return image


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours (L, RGB or CMYK, 8 bits) and, where the image has it, how opaque each pixel is."""
    if image.mode.startswith("I"):
        return _split_wide(image)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        return layered.convert("RGB"), layered.getchannel("A")
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), None


def _split_wide(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """16 bits of grey to 8, rounded, not cut."""
    clear = image.info.get("transparency")
    wide = image.convert("I")
    alpha = None
    if isinstance(clear, int):
        alpha = wide.point([0 if level == clear else 255 for level in range(65536)], "L")
    return wide.point(_grey_levels(), "L"), alpha


@functools.cache
def _grey_levels() -> list[int]:
    return [round(level / 257) for level in range(65536)]


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a profile that is broken or of another kind than the image counts as none, as in browsers."""
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(given):
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, given, target, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert("RGB")
