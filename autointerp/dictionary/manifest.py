"""``manifest.json``: what a feature dictionary holds, how it was made, and every file's digest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from autointerp.core.errors import InputError, newer_version
from autointerp.core.explanations import PromptRef, Provenance
from autointerp.core.files import read_file, storage_errors
from autointerp.core.json_text import parse_json
from autointerp.core.one_line import brief_repr
from autointerp.core.plain_values import read_plain, to_plain
from autointerp.store.codec import stored_json

if TYPE_CHECKING:
    from datetime import datetime

    from autointerp.core.config import JobSpec

MANIFEST = "manifest.json"
PARQUET = "labels.parquet"
JSONL = "labels.jsonl.gz"
AGAIN = "write or download the dictionary again"
"""What to do about damage."""
SCHEMA: Final = 2
"""Of 1 are dictionaries whose tables have other names and strings for layer and index."""
_READ = {"job": "job_fields", "job_fields": ""}
_STORED = {"job_fields": "job"}


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


@dataclass(frozen=True, slots=True)
class Counts:
    """Labels, in all and by status."""

    labels: int = 0
    ok: int = 0
    dead: int = 0
    no_signal: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds that a run was given."""

    run: int
    corpus: int | None
    collect: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``manifest.json``."""

    schema_version: Literal[1, 2]
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
    encoders: dict[str, str]
    """Digest of every SAE, transcoder or set of directions, by derived hook point."""
    explainer_model: str | None
    scorer_model: str | None
    prompts: tuple[PromptRef, ...]
    n_other_provenance: int
    """Labels that were made under another provenance than the one above, prompts apart."""
    job_fields: dict[str, Any] | None
    """The job that makes it again, as plain values; None where it was downloaded from a server."""
    files: dict[str, str]
    """Path below the folder, with slashes -> SHA-256 in hex."""

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ValueError(f"{name!r} leads out of the dictionary")

    @property
    def job(self) -> JobSpec | None:
        """The job that makes it again.

        Raises:
            InputError: it cannot be read.
        """
        if self.job_fields is None:
            return None
        # Most readers of a label do without.
        from autointerp.core.config import stored_job  # noqa: PLC0415 - brings pydantic

        return stored_job(self.job_fields, where=f"the job in {MANIFEST}")

    def as_json(self) -> bytes:
        """The content of the file."""
        values = to_plain(Manifest, self)
        renamed = {_STORED.get(name, name): value for name, value in values.items()}
        return (json.dumps(renamed, indent=2, ensure_ascii=False) + "\n").encode()


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
        return _manifest(stored_json(data))
    except ValueError as error:
        _refuse_newer(data, path)
        has_run = (folder / "job.json").is_file()
        again = f"autointerp label --resume --out {folder}"
        advice = f"write it anew with `{again}`" if has_run else "get the dictionary again"
        msg = f"{path} is not the manifest of a feature dictionary: {error}; {advice}"
        raise InputError(msg) from error


def _manifest(stored: Any) -> Manifest:
    if isinstance(stored, dict):
        stored = {"encoders": {}} | {_READ.get(name, name): stored[name] for name in stored}
    return read_plain(Manifest, stored)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; the file is not held in memory."""
    with storage_errors(path, verb="read"), path.open("rb") as file:
        import hashlib  # noqa: PLC0415 - reading a label needs none

        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_newer(data: bytes, path: Path) -> None:
    try:
        result = parse_json(data)
    except ValueError:
        return
    version = result.get("schema_version") if isinstance(result, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise newer_version(str(path), version, SCHEMA)
