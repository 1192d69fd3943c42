"""JSON merge patches (RFC 7396): applying one, and finding the one between two documents."""

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def patch_between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The smallest patch that turns `before` into `after`; a member that is null afterwards is removed."""
    patch: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = patch_between(old, new)
            if inner:
                patch[key] = inner
        elif old != new:
            patch[key] = new
    return dict(sorted(patch.items()))
