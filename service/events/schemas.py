"""Bodies of events."""

from pydantic import BaseModel

from service.specs.base import JsonObject
from service.store.tables import EventRow
from service.times import Timestamp


class EventRead(BaseModel):
    """Something that happened to a job; `seq` counts from 1 without gaps."""

    seq: int
    at: Timestamp
    type: str
    level: str
    message: str
    data: JsonObject

    @classmethod
    def from_row(cls, row: EventRow) -> "EventRead":
        """The row as shown."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


class EventList(BaseModel):
    """Events in order; ask again with `after=` the last `seq`."""

    data: list[EventRead]
    next_cursor: None = None
