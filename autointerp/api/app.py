"""The application: routes, what requests pass on their way, and what errors become."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.routing import APIRoute

from autointerp.api.dependencies import Services, app_state_of, refuse_repeated
from autointerp.api.docs import STYLE, docs_page
from autointerp.api.metrics import RequestMetrics, ServiceCollector
from autointerp.api.middleware import (
    AuthMiddleware,
    JsonBodyMiddleware,
    RequestLogMiddleware,
    SecurityHeadersMiddleware,
)
from autointerp.api.problems import add_handlers
from autointerp.api.routes import ROUTERS
from autointerp.api.schemas import ProblemOut
from autointerp.core import VERSION

_ABOUT = (
    "Labels of the neurons of language models: submit a labelling job, watch it, read its labels, "
    "download the feature dictionary. Errors are problem+json with a code."
)


def create_app(services: Services, *, settled: Callable[[], object] = bool) -> FastAPI:
    """The application on those services; nothing is reached before it starts.

    Args:
        services: what it is built on.
        settled: called once when the labels that are there at the start have been read.
    """
    state = app_state_of(services)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        begun = asyncio.create_task(state.indexes.begin())
        begun.add_done_callback(lambda _: settled())
        yield
        begun.cancel()

    app = FastAPI(
        title="autointerp",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        lifespan=life,
        dependencies=[Depends(refuse_repeated)],
    )
    metrics = RequestMetrics()
    metrics.registry.register(ServiceCollector(services.backend))
    app.state.app_state = state
    app.state.metrics = metrics
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    _add_docs(app)
    # The last one added is the outermost.
    app.add_middleware(JsonBodyMiddleware, limits=services.config.limits)
    app.add_middleware(AuthMiddleware, config=services.config)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _add_docs(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        """Shows the OpenAPI document."""
        return Response(docs_page(app.openapi()), media_type="text/html")

    @app.get("/docs/style.css", include_in_schema=False)
    def style() -> Response:
        """How it looks."""
        return Response(STYLE, media_type="text/css")


def _openapi(app: FastAPI) -> Callable[[], dict[str, Any]]:
    made = app.openapi

    @lru_cache(maxsize=1)
    def openapi() -> dict[str, Any]:
        document = made()
        schemas = document["components"]["schemas"]
        problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs", {})
        schemas["ProblemOut"] = problem
        # FastAPI's own words for a request that is wrong; ours are problems.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return document

    return openapi
