"""Which images are taken, and how an upload becomes the pixels that a person would see.

Torch-free: the API checks headers with it before it accepts an input, the workers decode with it.
"""

import io
import warnings
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from service.errors import ImageAnimated, ImageCorrupt, ImageTooLarge, UnsupportedImage

FORMATS = ("JPEG", "PNG", "WEBP")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
MAX_PIXELS = 40_000_000
MAX_IMAGE_BYTES = 32 * 1024 * 1024


def open_image(source: bytes | IO[bytes]) -> Image.Image:
    """Opens one still image lazily: header checked, no pixel decoded.

    Raises:
        UnsupportedImage: not JPEG, PNG or WebP.
        ImageAnimated: several frames (APNG, MPO, animated WebP).
        ImageTooLarge: more than `MAX_PIXELS`.
        ImageCorrupt: the header cannot be read.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
            frames = getattr(image, "n_frames", 1)
    except UnidentifiedImageError as error:
        raise UnsupportedImage("The file is not a JPEG, PNG or WebP image.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"The image has more than {MAX_PIXELS} pixels.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageCorrupt("The image's header cannot be read.") from error
    if frames > 1 or image.format not in FORMATS:
        raise ImageAnimated("The image has several frames; only still images are taken.")
    if image.width * image.height > MAX_PIXELS:
        raise ImageTooLarge(f"The image has {image.width * image.height} pixels; {MAX_PIXELS} are allowed.")
    return image


def decode_image(source: bytes | IO[bytes]) -> Image.Image:
    """The whole image as 8-bit RGB, turned as displayed: EXIF applied, 16 bit scaled, alpha over white.

    Raises:
        UnsupportedImage, ImageAnimated, ImageTooLarge, ImageCorrupt: as `open_image`; the last also when pixels
            are missing.
    """
    image = open_image(source)
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageCorrupt("The image's pixels cannot be decoded.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, layered)
    return image.convert("RGB")
