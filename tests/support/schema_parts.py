"""The fields of a JSON schema, however deep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]


def fields_of(schema: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Every text, list and number of a schema with its path; an item of a list is ``0``."""
    return list(_parts(schema, schema, ()))


def _parts(
    schema: Mapping[str, Any], top: Mapping[str, Any], path: Path
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "$ref" in schema:
        schema = top["$defs"][schema["$ref"].rpartition("/")[2]]
    for other in schema.get("anyOf", ()):
        yield from _parts(other, top, path)
    for name, each in schema.get("properties", {}).items():
        yield from _parts(each, top, (*path, name))
    if schema.get("type") in {"array", "string", "integer", "number"}:
        yield path, schema
    if schema.get("type") == "array":
        yield from _parts(schema.get("items", {}), top, (*path, "0"))
