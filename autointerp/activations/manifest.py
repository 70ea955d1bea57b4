"""What a summary's file says of itself, and the sentences for one that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from autointerp.activations.identity import SummaryIdentity
from autointerp.core.errors import InputError
from autointerp.core.text import Split

SCHEMA_VERSION = 2
METADATA = "autointerp"
"""Name of the manifest in the header."""

_IDENTITY = TypeAdapter(SummaryIdentity)
_IN_TENSORS = "units"
_OTHERS = "use the version that wrote it, or collect again"
_REMOVE = "remove it and collect again"


class Manifest(BaseModel):
    """What a summary's file says about itself beside its tensors."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int
    identity: dict[str, object]
    """`SummaryIdentity` without its units, which are tensors."""
    hooks: list[str]
    """In order of layers."""
    counts: dict[Split, tuple[int, int]]
    """Tokens and windows."""
    n_batches: dict[Split, int]
    shards: list[tuple[int, int]]


def identity_json(identity: SummaryIdentity) -> dict[str, object]:
    """An identity for the manifest."""
    found = _IDENTITY.dump_python(identity, mode="json", exclude={_IN_TENSORS})
    return dict(found)


def identity_of(manifest: Manifest, units: list[tuple[str, list[int]]]) -> SummaryIdentity:
    """The identity that a manifest and the tensors of units tell together."""
    return _IDENTITY.validate_python({**manifest.identity, _IN_TENSORS: units})


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what a damaged file gives into a sentence.

    Raises:
        InputError: in place of what reading a file that is not a whole summary raises.
    """
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # What is unknown tells of another version, which explains whatever else is wrong.
        first = min(found, key=lambda e: e["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            msg = f"{path} holds what this program does not know ({place}); {_OTHERS}"
        else:
            msg = f"{path} is not a whole summary ({place}: {first['msg']}); {_REMOVE}"
        raise InputError(msg) from error
    except (OSError, LookupError, ValueError) as error:
        msg = f"{path} is not a whole summary ({error}); {_REMOVE}"
        raise InputError(msg) from error


def read_manifest(text: str, path: Path) -> Manifest:
    """The manifest in a header.

    Raises:
        InputError: of another version, or it holds what this program does not know.
    """
    found = json.loads(text)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        msg = (
            f"{path} has summary version {version}, this program reads {SCHEMA_VERSION}; {_OTHERS}"
        )
        raise InputError(msg)
    manifest = Manifest.model_validate(found)
    known = {field.name for field in fields(SummaryIdentity)} - {_IN_TENSORS}
    unknown, lost = manifest.identity.keys() - known, known - manifest.identity.keys()
    if unknown:
        msg = f"{path} holds what this program does not know ({min(unknown)}); {_OTHERS}"
        raise InputError(msg)
    lost |= set(Split) - manifest.counts.keys()
    if lost:
        msg = f"its manifest says nothing of {min(lost)}"
        raise ValueError(msg)
    return manifest
