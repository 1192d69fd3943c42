"""What an examination finds: one sentence on how it is, one on what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from service.queue import Nudges
from service.settings import Settings
from service.store import Store

Level = Literal["well", "look", "wrong"]


@dataclass(frozen=True)
class Finding:
    """`look` is worth a look and works all the same; `wrong` does not work, or is not safe."""

    part: str
    level: Level
    says: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    """A deployment, as one process of it sees it."""

    settings: Settings
    store: Store
    nudges: Nudges


Check = Callable[[Patient], Iterator[Finding]]
