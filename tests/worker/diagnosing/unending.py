"""Whether remedies come to an end."""

from collections.abc import Callable
from typing import Any

from service.specs.diagnosis import Verdict
from service.specs.jobs import JobSpec
from worker.diagnosing.remedies import AGAINST


def unending_remedies(
    spec: JobSpec,
    offered: Callable[[Verdict, JobSpec], dict[str, Any]],
    patched: Callable[[JobSpec, dict[str, Any]], JobSpec],
) -> list[str]:
    """The remedies that are still offered after thirty times of taking them."""
    unending = []
    for name in {name for names in AGAINST.values() for name in names}:
        verdict = next(verdict for verdict, names in AGAINST.items() if name in names)
        current = spec
        for _ in range(30):
            patch = offered(verdict, current).get(name)
            if patch is None:
                break
            current = patched(current, patch)
        else:
            unending.append(name)
    return unending
