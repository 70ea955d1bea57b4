"""``manifest.json``: what a feature dictionary holds, how it was made, and every file's digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from autointerp.core.config import JobSpec, as_stored
from autointerp.core.errors import InputError, first_problem, newer_version
from autointerp.core.explanations import PromptRef, Provenance
from autointerp.core.files import read_file
from autointerp.core.json_text import parse_json

MANIFEST = "manifest.json"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What the labels themselves do not say."""

    job: JobSpec | None
    """None where labels of several jobs are among them."""
    provenance: Provenance
    """Of this run; where resumed labels have another, the manifest counts them."""
    created: datetime | None
    """When the dictionary is written, with a time zone; None where equal labels are to give
    equal bytes."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Strict):
    """Labels, in all and by status."""

    labels: int = 0
    ok: int = 0
    dead: int = 0
    no_signal: int = 0
    failed: int = 0


class Seeds(_Strict):
    """The seeds that a run was given."""

    run: int
    corpus: int | None
    collect: int | None


class Manifest(_Strict):
    """The content of ``manifest.json``."""

    schema_version: Literal[1]
    package_version: str
    created: str | None
    """ISO 8601 with its offset; None where it was downloaded from a server."""
    counts: Counts
    subject: str
    subject_revision: str
    dtype: str
    tokenizer: str
    corpus: str
    corpus_hash: str
    n_tokens: int
    n_ctx: int
    seeds: Seeds
    split_hash: str
    collect_hash: str
    encoders: dict[str, str] = {}
    """Digest of every SAE, transcoder or set of directions, by derived hook point."""
    explainer_model: str | None
    scorer_model: str | None
    prompts: tuple[PromptRef, ...]
    n_other_provenance: int
    """Labels that were made under another provenance than the one above, prompts apart."""
    job: JobSpec | None
    """The job that makes it again; None where it was downloaded from a server."""
    files: dict[str, str]
    """Path below the folder, with slashes -> SHA-256 in hex."""

    @field_validator("job", mode="wrap")
    @classmethod
    def _as_stored(cls, job: object, read: Callable[[object], JobSpec]) -> JobSpec:
        return as_stored(read(job)) if isinstance(job, dict) else read(job)

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ValueError(f"{name!r} leads out of the dictionary")
        return files


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a dictionary's folder.

    Raises:
        InputError: it is missing or cannot be read, or a newer autointerp wrote it.
    """
    path = folder / MANIFEST
    data = read_file(path) if folder.is_dir() else None
    if data is None:
        raise InputError(f"{folder} is not a feature dictionary: there is no {MANIFEST}")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        _refuse_newer(data, path)
        problem = first_problem(error, whole="the file")
        has_run = (folder / "job.json").is_file()
        again = f"autointerp label --resume --out {folder}"
        advice = f"write it anew with `{again}`" if has_run else "get the dictionary again"
        msg = f"{path} is not the manifest of a feature dictionary: {problem}; {advice}"
        raise InputError(msg) from error


def _refuse_newer(data: bytes, path: Path) -> None:
    try:
        result = parse_json(data)
    except ValueError:
        return
    version = result.get("schema_version") if isinstance(result, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise newer_version(str(path), version, SCHEMA)
