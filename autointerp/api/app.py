"""The application: routes, middleware, error handlers, and a page of its OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from fastapi import Depends, FastAPI, Response

from autointerp.api.app_docs import add_docs
from autointerp.api.app_state import Services, app_state_of, refuse_repeated
from autointerp.api.metrics import RequestMetrics, ServiceCollector
from autointerp.api.middleware.head_requests import HeadMiddleware
from autointerp.api.middleware.json_bodies import JsonBodyMiddleware
from autointerp.api.middleware.request_log import RequestLogMiddleware
from autointerp.api.middleware.security import AuthMiddleware, SecurityHeadersMiddleware
from autointerp.api.problems import add_handlers
from autointerp.api.routes import ROUTERS
from autointerp.api.routes.html_pages import problem_answer
from autointerp.api.schemas import ProblemOut
from autointerp.core import VERSION

_ABOUT = (
    "Labels of the neurons of language models: submit a labelling job, watch it, read its labels, "
    "download the feature dictionary. Errors are problem+json with a code."
)


def create_app(services: Services, *, settled: Callable[[], object] = bool) -> FastAPI:
    """The application on those services; nothing is reached before it starts.

    `settled` is called once, when the labels that are there at the start have been read.
    """
    state = app_state_of(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
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
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
        # Routes make their responses themselves.
        default_response_class=Response,
        dependencies=[Depends(refuse_repeated)],
    )
    metrics = RequestMetrics()
    metrics.registry.register(ServiceCollector(services.backend))
    app.state.app_state = state
    app.state.metrics = metrics
    add_handlers(app, problem_answer)
    for router in ROUTERS:
        app.include_router(router)
    add_docs(app)
    # The last one added is the outermost.
    app.add_middleware(HeadMiddleware)
    app.add_middleware(JsonBodyMiddleware, limits=services.config.limits)
    app.add_middleware(
        AuthMiddleware,
        config=services.config,
        key_checks=state.key_checks,
        sessions=state.sessions,
    )
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


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
        _fill_in(document)
        return document

    return openapi


def _fill_in(document: dict[str, Any]) -> None:
    """Gives parts of paths their example where Swagger UI looks for it, which is not the schema."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                examples = parameter["schema"].get("examples")
                if parameter["in"] == "path" and examples:
                    parameter["example"] = examples[0]
