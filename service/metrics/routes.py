"""`/metrics`, for Prometheus."""

from fastapi import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from starlette.requests import Request

from service.auth import DEFAULT_PROJECT
from service.deps import Caller, Stored
from service.errors import InsufficientScope, RateLimited, Unauthenticated
from service.metrics.deployment import Deployment
from service.problems import error_docs
from service.routing import AdminDoor, door_router
from service.traffic import Traffic

router = door_router("", "operations", AdminDoor)


@router.get("/metrics", response_class=Response, responses=error_docs(Unauthenticated, InsufficientScope, RateLimited))
def read_metrics(request: Request, caller: Caller, store: Stored) -> Response:
    """Queues, leases, workers and requests in Prometheus' text format, for admin keys of the project `default`."""
    with store.read() as work:
        if work.keys.project_name(caller.project_id) != DEFAULT_PROJECT:
            raise InsufficientScope(f"This needs an admin key of the project `{DEFAULT_PROJECT}`.")
    traffic: Traffic = request.app.state.traffic
    rows = CollectorRegistry()
    rows.register(Deployment(store))
    text = generate_latest(rows) + generate_latest(traffic.registry)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
