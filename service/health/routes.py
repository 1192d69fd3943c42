"""Is the process up; can it do its work."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from service.errors import Unavailable
from service.problems import error_docs
from service.queue import Nudges
from service.specs.tasks import QUEUES
from service.store import Store
from service.store.workers import SEEN_SECONDS

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=error_docs(Unavailable))
def readyz(request: Request, response: Response) -> dict[str, str]:
    """The database and the broker answer, and every queue has a worker that was seen lately."""
    store: Store = request.app.state.store
    with store.read() as work:
        served = work.workers.queues_served(SEEN_SECONDS)
    missing = [queue for queue in QUEUES if queue not in served]
    if missing:
        raise Unavailable(f"No worker was seen lately for: {', '.join(missing)}.")
    nudges: Nudges = request.app.state.nudges
    if not nudges.broker_answers():
        raise Unavailable("The broker does not answer; accepted work is kept and goes on when it is back.")
    response.headers["Cache-Control"] = "no-store"
    return {"status": "ready", "database": "ok", "broker": "ok", "workers": "ok"}
