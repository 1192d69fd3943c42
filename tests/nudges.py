"""Nudges of tests."""

from dataclasses import dataclass, field


@dataclass
class Recorded:
    """Nudges that nobody follows."""

    sent: list[str] = field(default_factory=list)
    rung: list[str] = field(default_factory=list)

    def nudge(self, task: str) -> None:
        self.sent.append(task)

    def announce(self) -> None:
        self.rung.append("news")

    def interrupt(self) -> None:
        self.rung.append("wishes")

    def broker_answers(self) -> bool:
        return True
