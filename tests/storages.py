"""A storage behind fsspec that is away on request, and says so in errors of its own, as S3's libraries do."""

from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from service.store import Store
from service.store.artifacts import make_artifact_store

S3_NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "tunelens",
    "AWS_SECRET_ACCESS_KEY": "b3a09c5f17e2648d",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class EndpointAway(Exception):
    """No OSError, as botocore's `EndpointConnectionError` is none."""


class FailingFileSystem(MemoryFileSystem):
    """In memory; what asks the server fails for so many more times."""

    protocol = "failing"
    failures = 0
    tries = 0

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Asks the server, as s3fs does for the bucket."""
        self._ask()
        super().makedirs(path, exist_ok)

    def _open(self, path: str, mode: str = "rb", *given: Any, **named: Any) -> Any:
        if mode == "rb":
            self._ask()
        return super()._open(path, mode, *given, **named)

    def rm_file(self, path: str) -> None:
        """Asks the server."""
        self._ask()
        super().rm_file(path)

    def _ask(self) -> None:
        cls = type(self)
        cls.tries += 1
        if cls.failures > 0:
            cls.failures -= 1
            raise EndpointAway("http://minio:9000/secret")


def use_failing_storage(store: Store, failures: int = 0) -> type[FailingFileSystem]:
    """Artifacts of this store go to a storage that fails for so many times."""
    fsspec.register_implementation("failing", FailingFileSystem, clobber=True)
    FailingFileSystem.failures, FailingFileSystem.tries = failures, 0
    store.artifacts = make_artifact_store(store.engine, "failing://artifacts")
    return FailingFileSystem
