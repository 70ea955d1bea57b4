"""The page of the OpenAPI document: Swagger UI, or a page that needs no scripts.

Nothing is loaded from elsewhere, so that it works where there is no internet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

from autointerp.api.middleware.security import DOCS_POLICY

_PACKAGE = "fastapi_swagger"
"""Used for the files of Swagger UI that it carries; its code is not run."""
_BUNDLE, _CSS = "swagger-ui-bundle.js", "swagger-ui.css"
_START = """
window.addEventListener("load", () => SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true, tryItOutEnabled: true,
  validatorUrl: null, docExpansion: "list", defaultModelsExpandDepth: -1,
}));
"""
_STYLE = "/docs/style.css"
_STYLE_SHEET = """
.plain { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
padding: 0 1rem; }
.plain :is(code, pre) { font: 14px/1.4 ui-monospace, monospace; background: #f4f4f4; }
.plain pre { padding: .75rem; overflow-x: auto; }
.plain summary { cursor: pointer; padding: .3rem 0; }
.plain summary b { display: inline-block; min-width: 3.5rem; }
.plain table { border-collapse: collapse; }
.plain :is(td, th) { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body:has(.plain) { background: #16181c; color: #ddd; }
  .plain :is(code, pre) { background: #24272d; } .plain a { color: #8bf; }
}
"""


def add_docs(app: FastAPI) -> None:
    """Adds the page and what it loads, each under a path that needs no key."""
    files = {_STYLE: (_STYLE_SHEET.encode(), "text/css")}
    found = _swagger_ui()
    if found is not None:
        files |= {
            "/docs/start.js": (_START.encode(), "text/javascript"),
            f"/docs/{_BUNDLE}": ((found / _BUNDLE).read_bytes(), "text/javascript"),
            f"/docs/{_CSS}": ((found / _CSS).read_bytes(), "text/css"),
        }

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        headers = {"Content-Security-Policy": DOCS_POLICY}
        return Response(docs_page(app.openapi()), media_type="text/html", headers=headers)

    for path, (content, kind) in files.items():
        app.add_api_route(path, _served(content, kind), include_in_schema=False)


def _served(content: bytes, kind: str) -> Callable[[], Response]:
    # It changes with the version that is installed, and is asked for with every look at the page.
    headers = {"Cache-Control": "max-age=3600"}
    return lambda: Response(content, media_type=kind, headers=headers)


@cache
def _swagger_ui() -> Path | None:
    """The folder of its files; None where the package is not installed."""
    found = find_spec(_PACKAGE)
    places = found.submodule_search_locations if found else None
    folders = [Path(place) / "resources" for place in places or ()]
    return next((folder for folder in folders if (folder / _BUNDLE).is_file()), None)


def docs_page(document: Mapping[str, Any]) -> str:
    """HTML of every operation: what it does, takes and answers, with an example of its body.

    Where scripts run, Swagger UI takes its place.
    """
    title = escape(document["info"]["title"])
    has_scripts = "".join(
        [
            f'<link rel="stylesheet" href="/docs/{_CSS}">',
            f'<script src="/docs/{_BUNDLE}" defer></script>',
            '<script src="/docs/start.js" defer></script>',
        ]
        if _swagger_ui() is not None
        else []
    )
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width">',
        f'<link rel="stylesheet" href="{_STYLE}">{has_scripts}</head>',
        f'<body><main id="docs"><div class="plain"><h1>{title}</h1>',
        f"<p>{escape(document['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(path, method, operation, document)
    return "".join([*parts, "</div></main></body></html>"])


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
