"""What can go wrong when talking to Tunelens.

TunelensError
├── ProblemError: the service answered with a problem document (RFC 9457)
├── Unreachable: no answer at all
├── NotSettled: a resource was still busy when the patience ran out
└── DownloadCorrupt: the bytes that arrived are not the bytes that were announced
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


class TunelensError(Exception):
    """Base of all errors of this client."""


class Unreachable(TunelensError):
    """The service gave no answer; `str()` says where it was looked for."""


class NotSettled(TunelensError):
    """A resource was still busy when the time was up; `resource` is how it looked last."""

    def __init__(self, resource: Json) -> None:
        what = resource.get("id") or f"the export as {resource.get('format')}"
        super().__init__(f"{what} is still {resource.get('state')}")
        self.resource = resource


class DownloadCorrupt(TunelensError):
    """Size or SHA-256 of a download differ from what the service announced; nothing was kept."""


class ProblemError(TunelensError):
    """The service refused, and said why.

    Attributes:
        problem: the problem document as it came.
        status: the HTTP status code.
    """

    def __init__(self, problem: Mapping[str, Any], *, status: int | None = None) -> None:
        self.problem: Json = dict(problem)
        self.status = int(problem.get("status") or status or 0)
        super().__init__(self.detail or self.title)

    @property
    def slug(self) -> str:
        """The last part of the problem's type, such as `unknown-backbone`."""
        return str(self.problem.get("type", "about:blank")).rsplit("/", 1)[-1]

    @property
    def title(self) -> str:
        """What kind of problem it is, in words."""
        return str(self.problem.get("title") or f"HTTP {self.status}")

    @property
    def detail(self) -> str:
        """What is the matter this time; may be empty."""
        return str(self.problem.get("detail") or "")

    @property
    def request_id(self) -> str | None:
        """Names the request in the service's log."""
        value = self.problem.get("request_id")
        return None if value is None else str(value)

    @property
    def faults(self) -> list[str]:
        """The fields, files or rows at fault, one line each."""
        lines = []
        for fault in self.problem.get("errors") or []:
            place = ".".join(str(part) for part in fault.get("loc", []))
            lines.append(f"{place}: {fault.get('message', fault.get('code', ''))}")
        return lines

    def __str__(self) -> str:
        """The title, the detail, and every fault on a line of its own."""
        head = f"{self.title} ({self.slug}{f', {self.status}' if self.status else ''})"
        return "\n".join([head, *([self.detail] if self.detail else []), *(f"  {line}" for line in self.faults)])
