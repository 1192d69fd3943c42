"""What a child tells its supervisor."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Report:
    """Progress on the way: `kind` says what `payload` is."""

    kind: Literal["epoch", "progress", "warning", "log"]
    message: str = ""
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The work's result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The work failed for a reason that is the client's to know."""

    problem: dict[str, Any]


@dataclass(frozen=True)
class Crashed:
    """The work failed for a reason that is not the client's; it may be tried again.

    Attributes:
        reason: safe to show.
        at_work: whether the work itself fell over, which what it read may have made it do; else it never began, or
            was given up on.
    """

    reason: str
    at_work: bool = True


@dataclass(frozen=True)
class GaveUp:
    """The work stopped because it was asked to."""


@dataclass(frozen=True)
class Again:
    """Ranks ask to be begun again, with passes of so many samples at most."""

    reason: str
    micro_batch_size: int


Ending = Done | Failed | Crashed | GaveUp | Again
Message = Report | Ending
