"""Server-sent events: the text of a stream → `Event`s (WHATWG HTML, section 9.2.6)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from client.errors import Json

TERMINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Event:
    """One line of a job's history.

    Attributes:
        seq: its place in the job's history, from 1; what `Last-Event-ID` and `after` count.
        type: `state`, `trial`, `epoch`, `warning` or `log`.
        at: RFC 3339 time.
        data: what there is to know, by type.
    """

    seq: int
    type: str
    at: str = ""
    level: str = "info"
    message: str = ""
    data: Json = field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        """Whether the job is over: nothing follows."""
        return self.type == "state" and self.data.get("state") in TERMINAL_STATES

    @classmethod
    def from_json(cls, document: Json, *, seq: int = 0, type_: str = "log") -> "Event":
        """From the JSON form; `seq` and `type_` fill in what only the stream's framing says."""
        return cls(
            seq=int(document.get("seq", seq)),
            type=str(document.get("type", type_)),
            at=str(document.get("at", "")),
            level=str(document.get("level", "info")),
            message=str(document.get("message", "")),
            data=document.get("data") or {},
        )


@dataclass
class _Frame:
    """One event as it is being read."""

    id: str = ""
    name: str = ""
    lines: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self.lines.append(value)
        elif name == "event":
            self.name = value
        elif name == "id" and "\0" not in value:
            self.id = value

    def to_event(self) -> Event | None:
        """None for a frame without data: the standard has it dropped."""
        if not self.lines:
            return None
        seq = int(self.id) if self.id.isdecimal() else 0
        return Event.from_json(json.loads("\n".join(self.lines)), seq=seq, type_=self.name or "log")


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Events of a stream of lines without their ends; comments are skipped, an unfinished event is dropped."""
    frame = _Frame()
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            frame.take(line)
            continue
        event = frame.to_event()
        frame = _Frame()
        if event is not None:
            yield event
