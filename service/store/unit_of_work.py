"""The store: opens units of work. One unit of work commits; nothing else calls commit."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy import Engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session

from service.store.artifacts import Artifact, ArtifactIndex, ArtifactStore, make_artifact_store
from service.store.bases import Row
from service.store.datasets import Datasets
from service.store.engine import forget_log, make_engine
from service.store.events import Events
from service.store.exports import Exports
from service.store.idempotency import IdempotencyKeys
from service.store.jobs import Jobs
from service.store.keys import Keys
from service.store.models import Models
from service.store.serving import Servings
from service.store.tables import DatasetRow, ExplanationRow, ExportRow, JobRow, PredictionRow, TrialRow
from service.store.trials import Trials
from service.store.workers import Workers

log = logging.getLogger(__name__)
STATEFUL: dict[str, type[Row]] = {
    **{"ds": DatasetRow, "job": JobRow, "prd": PredictionRow, "exp": ExplanationRow},
    **{"xpt": ExportRow, "trl": TrialRow},
}


class UnitOfWork:
    """One transaction and everything that can be read or written in it."""

    def __init__(self, session: Session, artifact_store: ArtifactStore) -> None:
        self.session = session
        self.artifact_store = artifact_store
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Runs `action` once the rows are safe; never when the transaction fails."""
        self._after_commit.append(action)

    def accepted(self, location: str) -> None:
        """Says what this unit of work accepts, for a repeat of the request under its idempotency key."""
        self.idempotency.bind(location)

    def run_after_commit(self) -> None:
        """Called by the store."""
        for action in self._after_commit:
            action()

    @cached_property
    def keys(self) -> Keys:
        """API keys and projects."""
        return Keys(self.session)

    @cached_property
    def datasets(self) -> Datasets:
        """Datasets."""
        return Datasets(self.session)

    @cached_property
    def jobs(self) -> Jobs:
        """Jobs."""
        return Jobs(self.session)

    @cached_property
    def trials(self) -> Trials:
        """Trials and their epochs."""
        return Trials(self.session)

    @cached_property
    def events(self) -> Events:
        """Events of jobs."""
        return Events(self.session)

    @cached_property
    def models(self) -> Models:
        """Models and aliases."""
        return Models(self.session)

    @cached_property
    def predictions(self) -> Servings[PredictionRow]:
        """Predictions."""
        return Servings(self.session, PredictionRow)

    @cached_property
    def explanations(self) -> Servings[ExplanationRow]:
        """Explanations."""
        return Servings(self.session, ExplanationRow)

    @cached_property
    def exports(self) -> Exports:
        """Models in formats of other runtimes."""
        return Exports(self.session)

    @cached_property
    def artifacts(self) -> ArtifactIndex:
        """Who owns which bytes."""
        return ArtifactIndex(self.session)

    @cached_property
    def idempotency(self) -> IdempotencyKeys:
        """First answers."""
        return IdempotencyKeys(self.session)

    @cached_property
    def workers(self) -> Workers:
        """Worker processes seen."""
        return Workers(self.session)


class Store:
    """Rows and bytes of one deployment. Create it after any fork."""

    def __init__(self, database_url: str, artifacts_url: str = "sql:") -> None:
        self.engine: Engine = make_engine(database_url)
        self._quick = self.engine.execution_options(quick=True)
        self._reading = self.engine.execution_options(read_only=True)
        self.artifacts = make_artifact_store(self._quick, artifacts_url)

    @contextmanager
    def work(self, *, quick: bool = False) -> Iterator[UnitOfWork]:
        """A unit of work that commits when its block ends and rolls back when it raises.

        `quick` is for what may be said again (heartbeats, progress): on SQLite a power cut can undo it.
        """
        with Session(self._quick if quick else self.engine, expire_on_commit=False) as session, session.begin():
            work = UnitOfWork(session, self.artifacts)
            yield work
        work.run_after_commit()

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """A unit of work that only reads: takes no write lock, rolls back."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield UnitOfWork(session, self.artifacts)

    def states_of(self, row_ids: Iterable[str]) -> dict[str, str]:
        """The states of any resources that have one and are there, by id: one query for each kind. For waiting."""
        by_kind: dict[str, list[str]] = {}
        for row_id in row_ids:
            by_kind.setdefault(row_id.partition("_")[0], []).append(row_id)
        found: dict[str, str] = {}
        with self._reading.connect() as connection:
            for kind, ids in by_kind.items():
                table = STATEFUL[kind].__table__
                rows = connection.execute(select(table.c.id, table.c.state).where(table.c.id.in_(ids)))
                found.update((row_id, state) for row_id, state in rows)
        return found

    def forget(self, abandoned: list[Artifact]) -> None:
        """Removes abandoned bytes for good, with the rows that were deleted before."""
        self.artifacts.delete(abandoned)
        if abandoned:
            forget_log(self.engine)

    def close(self) -> None:
        """Closes all connections; one that a thread still uses is closed once it is given back."""
        event.listen(self.engine, "checkin", _close_given_back)
        self.engine.dispose()


def _close_given_back(connection: DBAPIConnection | None, _record: object) -> None:
    if connection is not None:
        connection.close()
