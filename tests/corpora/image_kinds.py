"""S24: what is no JPEG, PNG or WebP; S26: what has several frames."""

import struct

from tests.corpora.pictures import encode, picture

Case = tuple[bytes, str]


def s24_fits() -> Case:
    return b"SIMPLE  =                    T".ljust(2880) + b"\x00" * 2880, "unsupported-image"


def s24_psd() -> Case:
    return b"8BPS\x00\x01" + b"\x00" * 6 + struct.pack(">HLLHH", 3, 4, 4, 8, 3) + b"\x00" * 64, "unsupported-image"


def s24_eps() -> Case:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n", "unsupported-image"


def s24_tiff() -> Case:
    return encode(picture(), "TIFF"), "unsupported-image"


def s24_svg() -> Case:
    return b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "unsupported-image"


def s24_gif() -> Case:
    return encode(picture(), "GIF"), "unsupported-image"


def s24_bmp() -> Case:
    return encode(picture(), "BMP"), "unsupported-image"


def s24_zip() -> Case:
    return b"PK\x05\x06" + b"\x00" * 18, "unsupported-image"


def s24_pickle() -> Case:
    return b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.", "unsupported-image"


def s24_empty() -> Case:
    return b"", "unsupported-image"


def s24_png_signature_alone() -> Case:
    return b"\x89PNG\r\n\x1a\n", "image-corrupt"


def s24_riff_but_no_webp() -> Case:
    return b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 28, "unsupported-image"


def s26_apng() -> Case:
    return encode(picture(), save_all=True, append_images=[picture(1), picture(2)]), "image-animated"


def s26_apng_with_a_default_image() -> Case:
    return encode(picture(), save_all=True, default_image=True, append_images=[picture(1)]), "image-animated"


def s26_apng_announced_twice() -> Case:
    """Pillow takes it for a still one."""
    content = s26_apng()[0]
    at = content.index(b"acTL") - 4
    return content[:at] + content[at : at + 20] * 2 + content[at + 20 :], "image-animated"


def s26_mpo() -> Case:
    return encode(picture(), "MPO", save_all=True, append_images=[picture(1)]), "image-animated"


def s26_animated_webp() -> Case:
    return encode(picture(), "WEBP", save_all=True, append_images=[picture(1)]), "image-animated"


def s26_animated_gif() -> Case:
    return encode(picture(), "GIF", save_all=True, append_images=[picture(1)]), "unsupported-image"
