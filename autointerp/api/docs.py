"""The OpenAPI document as a page that needs no script and nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

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
