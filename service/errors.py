"""Everything that can go wrong on purpose. No HTTP in here: `service.problems` maps slugs to status codes.

ServiceError
├── Unauthenticated · InsufficientScope · NotFound · Conflict · ExportFailed
├── RateLimited · TooManyStreams · QuotaExceeded
├── BadInput: the client can fix it
│   ├── Invalid (validation) · UnknownReference · UnknownBackbone · MalformedJson · TooManyItems
│   ├── PayloadTooLarge · UploadTimeout · UnsupportedMediaType · BudgetExceeded · BadRange
│   ├── ArchiveError: UnsafePath · SpecialFile · Encrypted · Bomb · Ambiguous · UnexpectedFile
│   ├── ImageError: ImageCorrupt · ImageTooLarge · ImageAnimated · UnsupportedImage
│   ├── CsvMalformed · DuplicateColumn
│   └── TargetInvalid · DatasetTooSmall · ExplanationUnsupported
├── IdempotencyMismatch · IdempotencyInFlight
├── TrialError: Diverged · ResourceExhausted · WorkerLost
└── Unavailable
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Fault:
    """One field, file or row at fault."""

    loc: tuple[str | int, ...]
    code: str
    message: str

    def to_json(self) -> dict[str, object]:
        """As it stands in a problem document's `errors`."""
        return {"loc": list(self.loc), "code": self.code, "message": self.message}


class ServiceError(Exception):
    """Base of all. `detail` is safe to show: it never repeats what the client sent.

    `retry_after_seconds` says when the same request may pass, where that is known.
    """

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[Fault] = (), retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.errors = tuple(errors)

    def to_problem(self) -> dict[str, object]:
        """The problem document without its HTTP part, as stored with a failed row."""
        document: dict[str, object] = {"type": f"/problems/{self.slug}", "title": self.title, "detail": self.detail}
        if self.errors:
            document["errors"] = [fault.to_json() for fault in self.errors]
        return document


class Unauthenticated(ServiceError):
    slug, title = "unauthenticated", "A valid API key is needed"


class InsufficientScope(ServiceError):
    slug, title = "insufficient-scope", "The API key lacks the scope"


class RateLimited(ServiceError):
    slug, title = "rate-limited", "Too many requests"


class TooManyStreams(RateLimited):
    slug, title = "too-many-streams", "Too many event streams are open"


class QuotaExceeded(ServiceError):
    slug, title = "quota-exceeded", "The project has used up what it may have"


class NotFound(ServiceError):
    slug, title = "not-found", "Not found"


class Conflict(ServiceError):
    slug, title = "conflict", "The resource is in the wrong state"


class ExportFailed(Conflict):
    """Stored with the export: trying the same again ends the same."""

    title = "The model cannot be exported in this format"


class Unavailable(ServiceError):
    slug, title = "unavailable", "Not available at the moment"


class IdempotencyMismatch(ServiceError):
    slug, title = "idempotency-mismatch", "The idempotency key was used with another body"


class IdempotencyInFlight(Conflict):
    title = "The first request with this idempotency key is still in flight"


class BadInput(ServiceError):
    slug, title = "validation", "The request is not valid"


class Invalid(BadInput):
    pass


class UnknownReference(BadInput):
    slug, title = "unknown-reference", "An id in the request is unknown"


class UnknownBackbone(BadInput):
    slug, title = "unknown-backbone", "The backbone is unknown or its weights are not at hand"


class MalformedJson(BadInput):
    slug, title = "malformed-json", "The body is not acceptable JSON"


class TooManyItems(BadInput):
    slug, title = "too-many-items", "Too many items in one request"


class PayloadTooLarge(BadInput):
    slug, title = "payload-too-large", "The body is too large"


class UploadTimeout(BadInput):
    slug, title = "upload-timeout", "The body came too slowly"


class UnsupportedMediaType(BadInput):
    slug, title = "unsupported-media-type", "The media type is not supported"


class BadRange(BadInput):
    slug, title = "bad-range", "The byte range cannot be served"

    def __init__(self, detail: str, *, size_bytes: int) -> None:
        super().__init__(detail)
        self.size_bytes = size_bytes


class BudgetExceeded(BadInput):
    slug, title = "budget-exceeded", "The request costs more than is allowed"


class ArchiveError(BadInput):
    pass


class ArchiveUnsafePath(ArchiveError):
    slug, title = "archive-unsafe-path", "The archive holds an unsafe path"


class ArchiveSpecialFile(ArchiveError):
    slug, title = "archive-special-file", "The archive holds something that is not a regular file"


class ArchiveEncrypted(ArchiveError):
    slug, title = "archive-encrypted", "The archive is encrypted"


class ArchiveBomb(ArchiveError):
    slug, title = "archive-bomb", "The archive expands beyond what is allowed"


class ArchiveAmbiguous(ArchiveError):
    slug, title = "archive-ambiguous", "The archive can be read in two ways"


class ArchiveUnexpectedFile(ArchiveError):
    slug, title = "archive-unexpected-file", "The archive holds a file that does not belong there"


class ImageError(BadInput):
    pass


class ImageCorrupt(ImageError):
    slug, title = "image-corrupt", "An image cannot be decoded"


class ImageTooLarge(ImageError):
    slug, title = "image-too-large", "An image has too many pixels"


class ImageAnimated(ImageError):
    slug, title = "image-animated", "An image has several frames"


class UnsupportedImage(ImageError):
    slug, title = "unsupported-image", "An image is not JPEG, PNG or WebP"


class CsvMalformed(BadInput):
    slug, title = "csv-malformed", "A CSV file breaks a rule"


class DuplicateColumn(BadInput):
    slug, title = "duplicate-column", "A column occurs twice"


class TargetInvalid(BadInput):
    slug, title = "target-invalid", "The targets cannot be learned"


class DatasetTooSmall(BadInput):
    slug, title = "dataset-too-small", "The dataset is too small"


class ExplanationUnsupported(BadInput):
    slug, title = "explanation-unsupported", "This method cannot explain this model"


class TrialError(ServiceError):
    """A trial failed for a reason that its spec or its machine gave."""


class Diverged(TrialError):
    slug, title = "diverged", "The loss stopped being finite"


class ResourceExhausted(TrialError):
    slug, title = "resource-exhausted", "A limit of time, memory or disk was reached"


class WorkerLost(TrialError):
    slug, title = "worker-lost", "The worker was lost too often"


class ArtifactCorrupt(ServiceError):
    """Stored bytes do not match their digest."""


class SplitCrossed(ServiceError):
    """A deal has something on two sides of the split; nothing is trained on it."""


class LeaseLost(ServiceError):
    """Another worker holds the row now: stop, delete the scratch, write nothing."""


class Stopped(ServiceError):
    """Work ended early because it was asked to: cancelled, paused or drained."""
