"""Names of our own columns in `samples.parquet`, which no upload's columns can have."""

from typing import Final

TEXT: Final = "\x00text"
CLASS: Final = "\x00class"
VALUE: Final = "\x00value"
DIGEST: Final = "\x00sha256"
