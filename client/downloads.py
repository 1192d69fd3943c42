"""Downloads: into memory or, for large ones, through a temporary file that takes its name when it is whole."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx

from client.errors import DownloadCorrupt, Unreachable
from client.transport import Transport


def save(transport: Transport, url: str, *, to: Path | None, sha256: str | None) -> bytes | Path:
    """The bytes behind `url`, or the file `to` that holds them.

    Raises:
        DownloadCorrupt: they do not have the digest `sha256`.
        ProblemError, Unreachable, ValueError: see `Transport`.
    """
    if to is None:
        content = transport.request("GET", url).content
        _compare(hashlib.sha256(content).hexdigest(), sha256)
        return content
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f".{to.name}.partial")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            for chunk in _chunks(transport, url):
                digest.update(chunk)
                file.write(chunk)
        _compare(digest.hexdigest(), sha256)
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return to


def _chunks(transport: Transport, url: str) -> Iterator[bytes]:
    try:
        with transport.stream(url, headers={}) as response:
            yield from response.iter_bytes()
    except httpx.TransportError as error:
        raise Unreachable(f"the download of {url} broke: {error}") from error


def _compare(found: str, announced: str | None) -> None:
    if announced is not None and found != announced:
        raise DownloadCorrupt(f"sha256 is {found}, announced was {announced}")
