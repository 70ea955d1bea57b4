"""The application: routes, middleware, error handlers, and a page of its OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from html import escape
from typing import Any

from fastapi import Depends, FastAPI, Response

from autointerp.api.app_state import Services, app_state_of, refuse_repeated
from autointerp.api.metrics import RequestMetrics, ServiceCollector
from autointerp.api.middleware.head_requests import HeadMiddleware
from autointerp.api.middleware.json_bodies import JsonBodyMiddleware
from autointerp.api.middleware.request_log import RequestLogMiddleware
from autointerp.api.middleware.security import AuthMiddleware, SecurityHeadersMiddleware
from autointerp.api.problems import add_handlers
from autointerp.api.routes import ROUTERS
from autointerp.api.schemas import ProblemOut
from autointerp.core import VERSION

_ABOUT = (
    "Labels of the neurons of language models: submit a labelling job, watch it, read its labels, "
    "download the feature dictionary. Errors are problem+json with a code."
)
_STYLE = "/docs/style.css"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: #f4f4f4; }
pre { padding: .75rem; overflow-x: auto; }
summary { cursor: pointer; padding: .3rem 0; }
summary b { display: inline-block; min-width: 3.5rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem .8rem .2rem 0;
vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #ddd; } code, pre { background: #24272d; } a { color: #8bf; }
}
"""


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
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    _add_docs(app)
    # The last one added is the outermost.
    app.add_middleware(HeadMiddleware)
    app.add_middleware(JsonBodyMiddleware, limits=services.config.limits)
    app.add_middleware(AuthMiddleware, config=services.config)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


def _add_docs(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return Response(docs_page(app.openapi()), media_type="text/html")

    @app.get("/docs/style.css", include_in_schema=False)
    def style() -> Response:
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


def docs_page(document: Mapping[str, Any]) -> str:
    """HTML of every operation: what it does, takes and answers, with an example of its body."""
    title = escape(document["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width">',
        f'<link rel="stylesheet" href="{_STYLE}"></head><body><main><h1>{title}</h1>',
        f"<p>{escape(document['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(path, method, operation, document)
    return "".join([*parts, "</main></body></html>"])


def _operation(
    path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    text = escape(operation.get("description") or operation.get("summary", ""))
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {text}</summary>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>parameter</th><th>in</th><th></th></tr>"
        for parameter in parameters:
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td>"
                f"<td>{escape(parameter.get('description', ''))}</td></tr>"
            )
        yield "</table>"
    example = _example(operation, document)
    if example is not None:
        yield f"<pre>{escape(json.dumps(example, indent=2))}</pre>"
    yield "<table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{status}</td><td>{escape(answer.get('description', ''))}</td></tr>"
    yield "</table></details>"


def _example(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    result = document["components"]["schemas"].get(name, schema)
    return next(iter(result.get("examples", [])), None)
