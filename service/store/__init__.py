"""All SQL: engine, tables, one module per noun, artifacts, and the unit of work that commits."""

from service.store.artifacts import Artifact
from service.store.chunks import StorageAway
from service.store.engine import AWAY
from service.store.leases import Lease
from service.store.unit_of_work import Store, UnitOfWork

__all__ = ["AWAY", "Artifact", "Lease", "StorageAway", "Store", "UnitOfWork"]
