"""Where the bytes of artifacts go: 1 MiB rows of the same database, or files behind any fsspec URL."""

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import fsspec
from sqlalchemy import Engine, delete, insert, select, tuple_

from service.errors import ArtifactCorrupt
from service.store.tables import ChunkRow

CHUNK_BYTES = 1024 * 1024
CHUNKS_AT_ONCE = 16
LINE_TO_S3: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 2}}
"""Seconds and tries of one request; botocore would try five times, and s3fs each of them five times again. A large file
that is moved into place may take most of the seconds.
"""
AWAY_ERRNOS = (
    *(errno.EIO, errno.EREMOTEIO, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
)
"""Of shares and of S3's answers (500, 503); a folder that is missing or not ours to write to is there."""


class StorageAway(OSError):
    """The storage of artifacts does not answer, and may again."""


class ChunkStorage(Protocol):
    """Where the bytes go; one contract test runs over every implementation."""

    scheme: str
    transactional: bool
    """Whether bytes can be written in the transaction that gives them an owner."""

    def write(self, location: str, chunks: Iterable[bytes]) -> None:
        """Stores all chunks durably."""

    def read(self, location: str, start: int, stop: int) -> Iterator[bytes]:
        """Bytes `start` up to `stop`, in pieces."""

    def delete(self, locations: Sequence[str]) -> None:
        """Removes the bytes; unknown locations are fine."""


class SqlChunks:
    """1 MiB rows: one database backup holds all."""

    scheme = "sql"
    transactional = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(read_only=True)

    def write(self, location: str, chunks: Iterable[bytes]) -> None:
        """One short transaction a chunk."""
        artifact_id = location.removeprefix("sql:")
        for number, data in enumerate(chunks):
            with self._engine.begin() as connection:
                connection.execute(insert(ChunkRow).values(artifact_id=artifact_id, number=number, data=data))

    def read(self, location: str, start: int, stop: int) -> Iterator[bytes]:
        """One short transaction a chunk."""
        artifact_id = location.removeprefix("sql:")
        for number in range(start // CHUNK_BYTES, -(-stop // CHUNK_BYTES)):
            with self._reading.connect() as connection:
                query = select(ChunkRow.data).where(ChunkRow.artifact_id == artifact_id, ChunkRow.number == number)
                data = connection.execute(query).scalar_one_or_none()
            if data is None:
                raise ArtifactCorrupt("A chunk of the artifact is missing.")
            offset = number * CHUNK_BYTES
            yield data[max(0, start - offset) : stop - offset]

    def delete(self, locations: Sequence[str]) -> None:
        """Removes the chunk rows, a few at a time, so that nobody waits for long."""
        mine = ChunkRow.artifact_id.in_([location.removeprefix("sql:") for location in locations])
        some = select(ChunkRow.artifact_id, ChunkRow.number).where(mine).limit(CHUNKS_AT_ONCE)
        these = tuple_(ChunkRow.artifact_id, ChunkRow.number).in_(some)
        removed = 1
        while removed:
            with self._engine.begin() as connection:
                removed = len(connection.execute(delete(ChunkRow).where(these).returning(ChunkRow.number)).all())


class FileChunks:
    """One file an artifact behind an fsspec URL, written under a temporary name and then moved.

    Everything raises `StorageAway` where the storage does not answer, and other OSErrors where it does.
    """

    scheme = "file"
    transactional = False

    def __init__(self, url: str) -> None:
        is_s3 = url.startswith(("s3:", "s3a:"))
        given = fsspec.config.conf.get("s3", {}).get("config_kwargs", {}) if is_s3 else {}
        self._fs, self._root = fsspec.core.url_to_fs(url, **({"config_kwargs": LINE_TO_S3 | given} if is_s3 else {}))
        if is_s3:
            self._fs.retries = 2

    def write(self, location: str, chunks: Iterable[bytes]) -> None:
        """Moves into place only what was written whole."""
        path = self._path(location)
        temporary = f"{path}.part"
        with _answering():
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            self._write(temporary, chunks)
            with _answering():
                self._fs.mv(temporary, path)
        except StorageAway:
            raise  # the sweeper removes what may be left
        except BaseException:
            with suppress(OSError), _answering():
                self._fs.rm(temporary)
            raise

    def _write(self, path: str, chunks: Iterable[bytes]) -> None:
        with _answering():
            file = self._fs.open(path, "wb")
        try:
            for data in chunks:
                with _answering():
                    file.write(data)
        finally:
            with _answering():
                file.close()

    def read(self, location: str, start: int, stop: int) -> Iterator[bytes]:
        """Seeks, then reads 1 MiB at a time."""
        left = stop - start
        try:
            with _answering():
                file = self._fs.open(self._path(location), "rb")
            with file:
                with _answering():
                    file.seek(start)
                while left > 0:
                    with _answering():
                        data = file.read(min(CHUNK_BYTES, left))
                    if not data:
                        raise ArtifactCorrupt("The artifact's file is too short.")
                    left -= len(data)
                    yield data
        except FileNotFoundError as error:
            raise ArtifactCorrupt("The artifact's file is missing.") from error

    def delete(self, locations: Sequence[str]) -> None:
        """Removes the files."""
        for location in locations:
            for path in (self._path(location), f"{self._path(location)}.part"):
                with suppress(FileNotFoundError), _answering():
                    self._fs.rm(path)

    def _path(self, location: str) -> str:
        artifact_id = location.removeprefix("file:")
        return f"{self._root}/{artifact_id[-2:]}/{artifact_id}"


@contextmanager
def _answering() -> Iterator[None]:
    """Around what a library behind fsspec does: each has errors of its own for a server that is not there."""
    try:
        yield
    except MemoryError:
        raise
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError) or error.errno in AWAY_ERRNOS:
            raise StorageAway(error.errno or errno.EIO, "The storage does not answer.") from error
        raise
    except Exception as error:  # botocore's, aiohttp's, Google's, Azure's: of whatever is installed
        raise StorageAway(errno.EIO, f"The storage does not answer: {type(error).__name__}.") from error


def make_chunk_storage(engine: Engine, url: str) -> ChunkStorage:
    """`sql:` keeps chunk rows; any other URL is fsspec's."""
    return SqlChunks(engine) if url == "sql:" else FileChunks(url)
