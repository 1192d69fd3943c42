"""The catalogue of backbones."""

from typing import Annotated

from fastapi import Query

from service.backbones.schemas import BackboneList, BackboneRead
from service.deps import Work
from service.routing import door_router
from service.specs.backbones import CATALOGUE, weights_known

router = door_router("/backbones", "backbones")


@router.get("")
def list_backbones(work: Work, problem: Annotated[str | None, Query(max_length=40)] = None) -> BackboneList:
    """Every backbone, or those for one problem, and where its weights are."""
    at_hand = weights_known(work.workers.weights())
    entries = [entry for entry in CATALOGUE.values() if problem in (None, entry.problem)]
    return BackboneList(data=[BackboneRead.from_entry(entry, at_hand[entry.name]) for entry in entries])
