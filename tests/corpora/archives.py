"""Zip archives by rule: each hostile one is a harmless data set but for one thing.

A builder called `s19_…` to `s23_…` (and `s34_…`) returns the bytes of an archive and the slug that it must meet.
"""

from collections.abc import Callable

from tests.corpora import archive_bombs, archive_contradictions, archive_kinds, archive_paths, archive_twins

Case = tuple[bytes, str]
_MODULES = (archive_paths, archive_kinds, archive_bombs, archive_twins, archive_contradictions)


def cases(rule: str) -> dict[str, Callable[[], Case]]:
    """All builders of one rule, such as `s19`, by name."""
    return {
        name: builder for module in _MODULES for name, builder in vars(module).items() if name.startswith(f"{rule}_")
    }
