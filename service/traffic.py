"""What one API process has answered: a line in the log and a figure for each request."""

import logging
from typing import Any

from prometheus_client import CollectorRegistry, Histogram

log = logging.getLogger(__name__)
NO_ROUTE = "none"
API = "/v1"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any other word is the client's own: as a label it would be told, and never end."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds by machines; counted, and not told."""


class Traffic:
    """Requests by method, route and status. Event streams count with the time that they were open."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "tunelens_http_request_seconds",
            "Time from a request's first byte to the end of its answer.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self.registry,
        )

    def note(self, scope: Any, status: int, seconds: float) -> None:
        """One request is over; `scope` is ASGI's. Its path is the client's to choose, so the route stands for it."""
        route = getattr(scope.get("route"), "path_format", None) or NO_ROUTE
        if scope["path"].startswith(API) and route != NO_ROUTE and not route.startswith(API):
            route = f"{API}{route}"  # FastAPI gives the route of a router without what the router is mounted at
        known = route != NO_ROUTE and scope["method"] in METHODS
        method = scope["method"] if known else "any"
        self._seconds.labels(method, route, str(status)).observe(seconds)
        if route not in QUIET:
            figures = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
            log.info("%s %s %d", method, route, status, extra={"figures": figures})
