"""Stored bytes as a file that can be read anywhere: for formats of which a part is enough."""

import io

from service.store.artifacts import Artifact, ArtifactStore


class ArtifactFile(io.RawIOBase):
    """A read-only view; every read fetches what it asks for and no more, so the digest of the whole is not checked."""

    def __init__(self, store: ArtifactStore, artifact: Artifact) -> None:
        super().__init__()
        self._store = store
        self._artifact = artifact
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves, and says where to."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._artifact.size_bytes}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fills the buffer as far as there are bytes."""
        view = memoryview(buffer).cast("B")
        stop = min(self._artifact.size_bytes, self._at + len(view))
        filled = 0
        if stop > self._at:
            for piece in self._store.read(self._artifact, self._at, stop):
                view[filled : filled + len(piece)] = piece
                filled += len(piece)
        self._at += filled
        return filled
