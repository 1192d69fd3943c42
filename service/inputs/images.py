"""Images that come with a request."""

from collections.abc import Sequence

from service.errors import BudgetExceeded, Fault, ImageError, PayloadTooLarge
from service.inputs.kept import Kept, input_row
from service.specs.images import MAX_IMAGE_BYTES, MAX_REQUEST_PIXELS, open_image
from service.store import Store


def keep_images(store: Store, files: Sequence[tuple[str, bytes]]) -> Kept:
    """Looks at every image's header and keeps the bytes, as `inputs/<index>`.

    Raises:
        PayloadTooLarge: a file is too large.
        ImageError: of the first that is refused, naming it.
        BudgetExceeded: they have too many pixels together.
    """
    _check(files)
    artifacts = [store.artifacts.hold(data, "application/octet-stream") for _, data in files]
    rows = [input_row(name, artifact.sha256) for (name, _), artifact in zip(files, artifacts, strict=True)]
    return Kept(rows, {f"inputs/{index}": artifact for index, artifact in enumerate(artifacts)})


def _check(files: Sequence[tuple[str, bytes]]) -> None:
    pixels = 0
    for position, (_, data) in enumerate(files):
        if len(data) > MAX_IMAGE_BYTES:
            fault = Fault(("body", "file", position), "too-large", f"at most {MAX_IMAGE_BYTES} bytes")
            raise PayloadTooLarge("An image file is too large.", errors=[fault])
        try:
            width, height = open_image(data).size
            pixels += width * height
        except ImageError as error:
            fault = Fault(("body", "file", position), error.slug, error.detail)
            raise type(error)(error.detail, errors=[fault]) from error
    if pixels > MAX_REQUEST_PIXELS:
        raise BudgetExceeded(f"At most {MAX_REQUEST_PIXELS} pixels are taken in one request.")
