"""Images by rule: a builder called `s24_…` to `s27_…` returns the bytes and the slug that they must meet."""

from collections.abc import Callable

from tests.corpora import image_damage, image_kinds

Case = tuple[bytes, str]
_MODULES = (image_kinds, image_damage)


def cases(rule: str) -> dict[str, Callable[[], Case]]:
    """All builders of one rule, such as `s26`, by name."""
    return {
        name: builder for module in _MODULES for name, builder in vars(module).items() if name.startswith(f"{rule}_")
    }
