"""The application: every route behind one door, every error a problem document."""

import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer

from service.auth import ensure_admin_key
from service.backbones import routes as backbones
from service.datasets import routes as datasets
from service.errors import (
    InsufficientScope,
    Invalid,
    MalformedJson,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    UploadTimeout,
)
from service.events import routes as events
from service.events.watch import Watch
from service.explanations import routes as explanations
from service.exports import routes as exports
from service.health import routes as health_routes
from service.jobs import routes as jobs
from service.keys import routes as keys
from service.logs import set_up_logging
from service.metrics import routes as metrics_routes
from service.middleware import RequestFrame
from service.models import routes as models
from service.predictions import routes as predictions
from service.problems import error_docs, install_handlers
from service.queue import CeleryNudges, Nudges, news_bell
from service.rates import Rates, Slots
from service.routing import known_caller
from service.settings import Settings
from service.store import Store
from service.sweeper import Sweeper
from service.traffic import Traffic
from service.waiting import Announcements, States
from service.weak_secrets import refuse_weak_secrets

log = logging.getLogger(__name__)
FEATURES = (datasets.router, backbones.router, jobs.router, events.router, models.router, models.aliases_router,
            predictions.router, explanations.router, exports.router, keys.router)  # fmt: skip

ANYWHERE = (Unauthenticated, InsufficientScope, RateLimited, Invalid, MalformedJson, PayloadTooLarge, UploadTimeout,
            UnsupportedMediaType, Unavailable)  # fmt: skip
"""What every operation can be refused with, whatever it is asked for."""


def create_app(settings: Settings, store: Store, nudges: Nudges) -> FastAPI:
    """The API over a store; the schema must be up to date."""
    announcements = Announcements(news_bell(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        made = ensure_admin_key(store, settings)
        if made is not None:
            log.warning("made the admin key; it is in %s", made)
        sweeper = Sweeper(store, nudges, settings)
        sweeper.start()
        with announcements.listening():
            yield
        app.state.watch.close()
        sweeper.stop()
        store.close()

    app = FastAPI(title="Tunelens", version="1", lifespan=lifespan, redoc_url=None, redirect_slashes=False)
    app.state.settings, app.state.store, app.state.nudges = settings, store, nudges
    app.state.announcements, app.state.traffic = announcements, Traffic()
    app.state.watch, app.state.states = Watch(store, announcements), States(store, announcements)
    app.state.rates = Rates(settings.rate_requests, settings.rate_window_seconds, time.monotonic)
    app.state.streams = Slots(settings.max_streams)
    install_handlers(app)
    door = [Depends(HTTPBearer(scheme_name="key", auto_error=False)), Depends(known_caller)]
    root = APIRouter(prefix="/v1")
    for router in FEATURES:
        root.include_router(router)
    for guarded in (root, metrics_routes.router):
        app.include_router(guarded, dependencies=door, responses=error_docs(*ANYWHERE))
    app.include_router(health_routes.router)
    app.add_middleware(RequestFrame, settings=settings, clock=time.monotonic, traffic=app.state.traffic)
    return app


def from_environment() -> FastAPI:
    """For `uvicorn service.app:from_environment --factory`."""
    settings = Settings()
    set_up_logging(settings.log_format)
    try:
        refuse_weak_secrets(settings)  # before anything reads an address that it may quote
    except ValueError as error:
        sys.exit(str(error))
    return create_app(settings, Store(settings.database_url, settings.artifacts_url), CeleryNudges(settings))
