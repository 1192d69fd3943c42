"""How a database that is busy or away shows itself."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from service.store import AWAY, Store
from service.store.engine import LINE, make_engine
from service.store.migrate import upgrade


class NotConnectedError(Exception):
    pass


def test_a_locked_database_is_one_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every other failure of the database, or nobody would try again."""
    monkeypatch.setattr("service.store.engine.BUSY_TIMEOUT_MS", 50)
    stores = [Store(f"sqlite:///{tmp_path / 'tunelens.db'}") for _ in range(2)]
    upgrade(stores[0].engine)
    with stores[0].work() as work:
        work.workers.gone("nobody")
        with pytest.raises(AWAY, match="locked"), stores[1].work() as another:
            another.workers.gone("nobody")
    with stores[1].work() as work:
        work.workers.gone("nobody")
    for store in stores:
        store.close()


@pytest.mark.parametrize(("query", "expected"), [("", LINE), ("?connect_timeout=60", LINE | {"connect_timeout": "60"})])
def test_a_silent_line_is_noticed_unless_the_url_says_otherwise(query: str, expected: dict[str, Any]) -> None:
    asked: dict[str, Any] = {}

    def refuse(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        asked.update(parameters)
        raise NotConnectedError

    engine = make_engine(f"postgresql://tunelens@127.0.0.1:1/tunelens{query}")
    event.listen(engine, "do_connect", refuse)
    with pytest.raises(NotConnectedError):
        engine.connect()
    assert {name: asked[name] for name in LINE} == expected
