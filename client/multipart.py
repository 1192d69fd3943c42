"""Multipart bodies that can be sent a second time, byte for byte."""

import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from client.errors import Json

Source = Path | str | bytes
"""A file's path, or its bytes."""


@dataclass
class Multipart:
    """Files and fields of one request; files are opened anew, and streamed, at each try.

    The boundary comes from the idempotency key, so that a repeated request has the very same bytes.
    """

    files: Sequence[Source]
    fields: Mapping[str, str] = field(default_factory=dict)
    spec: Json | None = None

    @contextmanager
    def opened(self, headers: dict[str, str]) -> Iterator[dict[str, Any]]:
        """What httpx is to be given for one try; sets the content type in `headers`."""
        headers["Content-Type"] = f"multipart/form-data; boundary=tunelens-{headers['Idempotency-Key']}"
        with ExitStack() as stack:
            parts: list[tuple[str, tuple[str | None, Any, str]]] = []
            for index, source in enumerate(self.files):
                name, content = _part(source, index, stack)
                parts.append(("file", (name, content, mimetypes.guess_type(name)[0] or "application/octet-stream")))
            if self.spec is not None:
                parts.append(("spec", (None, json.dumps(self.spec).encode(), "application/json")))
            yield {"files": parts, "data": dict(self.fields)}


def _part(source: Source, index: int, stack: ExitStack) -> tuple[str, bytes | IO[bytes]]:
    if isinstance(source, bytes):
        return f"upload-{index}.{_extension(source)}", source
    path = Path(source)
    return path.name, stack.enter_context(path.open("rb"))


def _extension(content: bytes) -> str:
    """By the first bytes, for uploads that have no name."""
    for magic, extension in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpg"), (b"RIFF", "webp"), (b"PK", "zip")):
        if content.startswith(magic):
            return extension
    return "bin"
