"""Artifacts over HTTP: streamed, with a single byte range, typed by the server."""

import re
from itertools import chain

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from service.errors import BadRange
from service.store import Artifact, Store

INLINE = ("image/png",)
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""Content-Security-Policy of a self-contained page: nothing is loaded, nothing runs."""


class ArtifactRead(BaseModel):
    """A file of a model."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str

    @classmethod
    def of_model(cls, model_id: str, artifact: Artifact) -> "ArtifactRead":
        """The artifact as shown, with where to get it."""
        shown = {name: getattr(artifact, name) for name in ("name", "media_type", "size_bytes", "sha256")}
        return cls.model_validate({**shown, "url": f"/v1/models/{model_id}/artifacts/{artifact.name}"})


def stream_artifact(store: Store, artifact: Artifact, range_header: str | None) -> Response:
    """The artifact's bytes, all or one range (RFC 9110 §14); raises `BadRange`, and what the first read raises."""
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{artifact.sha256}"',
        "Content-Disposition": "inline" if artifact.media_type in INLINE else "attachment",
    }
    size = artifact.size_bytes
    asked = _parse_range(range_header, size) if range_header else None
    start, stop = asked or (0, size)
    headers["Content-Length"] = str(stop - start)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    pieces = store.artifacts.read(artifact, start, stop)
    return StreamingResponse(
        chain([next(pieces, b"")], pieces),
        status_code=206 if asked else 200,
        media_type=artifact.media_type,
        headers=headers,
    )


def _parse_range(header: str, size: int) -> tuple[int, int]:
    match = re.fullmatch(r"bytes=(\d{0,19})-(\d{0,19})", header.replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        raise BadRange("One range of bytes is served: `bytes=<first>-<last>`.", size_bytes=size)
    first, last = match[1], match[2]
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    if start >= stop:
        raise BadRange(f"The artifact has {size} bytes.", size_bytes=size)
    return start, stop
