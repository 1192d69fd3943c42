"""S20 and S34: links, devices, encryption, other kinds of archives, saved models."""

import io
import struct
import tarfile

from tests.corpora.pets import parts, with_part
from tests.corpora.pictures import png
from tests.corpora.zip_writer import ENCRYPTED, Part, write_zip

Case = tuple[bytes, str]
SPECIAL = "archive-special-file"


def s20_symlink() -> Case:
    return with_part(Part("cat/9.png", b"/etc/passwd", mode=0o120777)), SPECIAL


def s20_device() -> Case:
    return with_part(Part("cat/9.png", b"", mode=0o020666)), SPECIAL


def s20_pipe() -> Case:
    return with_part(Part("cat/9.png", b"", mode=0o010644)), SPECIAL


def s20_folder_link() -> Case:
    return with_part(Part("cat/", b"", mode=0o120777)), SPECIAL


def s20_folder_without_slash() -> Case:
    return with_part(Part("cat", b"", mode=0o040755)), SPECIAL


def s20_encrypted() -> Case:
    return with_part(Part("cat/9.png", png(90), flags=0x0800 | ENCRYPTED)), "archive-encrypted"


def s20_encrypted_aes() -> Case:
    part = Part(
        "cat/9.png", png(90), flags=0x0800 | ENCRYPTED, extra=struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 8)
    )
    return with_part(part.but(local={"method": 99}, central={"method": 99})), "archive-encrypted"


def s20_encrypted_directory() -> Case:
    return with_part(Part("cat/9.png", png(90), flags=0x2841)), "archive-encrypted"


def s20_tar() -> Case:
    return _tar("w"), "unsupported-media-type"


def s20_tar_gz() -> Case:
    return _tar("w:gz"), "unsupported-media-type"


def s20_rar() -> Case:
    return b"Rar!\x1a\x07\x01\x00" + b"\x00" * 200, "unsupported-media-type"


def s20_7z() -> Case:
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + b"\x00" * 200, "unsupported-media-type"


def s20_empty() -> Case:
    return b"", "unsupported-media-type"


def s20_a_picture() -> Case:
    return png(), "unsupported-media-type"


def s34_saved_model() -> Case:
    """What `torch.save` writes is a zip file with a pickle in it."""
    members = [
        Part("archive/data.pkl", b"\x80\x02}."),
        Part("archive/version", b"3\n"),
        Part("archive/data/0", b"1234"),
    ]
    return write_zip(members), "unsupported-media-type"


def s34_pickle() -> Case:
    return b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.", "unsupported-media-type"


def _tar(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for part in parts():
            info = tarfile.TarInfo(part.path)
            info.size = len(part.data)
            archive.addfile(info, io.BytesIO(part.data))
    return buffer.getvalue()
