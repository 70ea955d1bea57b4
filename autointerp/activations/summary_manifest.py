"""What a summary is of, the manifest of its file, and the errors of reading one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from autointerp.core import VERSION
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors
from autointerp.core.json_text import parse_json
from autointerp.core.one_line import brief_repr
from autointerp.core.text import Split

SCHEMA_VERSION = 3
_READABLE = (2, 3)
"""Version 2 kept sums of every token in token tables."""
METADATA = "autointerp"
"""Name of the manifest in the header."""

_IN_TENSORS = "units"
_OTHERS = "use the version that wrote it, or collect again"
_REMOVE = "remove it and collect again"


@dataclass(frozen=True, slots=True)
class SummaryIdentity:
    """What must agree before two summaries may be merged or a checkpoint continued."""

    subject: str
    revision: str
    dtype: str
    tokenizer: str
    corpus: str
    corpus_hash: str
    split_hash: str
    n_ctx: int
    seed: int
    units: tuple[tuple[str, tuple[int, ...]], ...]
    """(hook point, indices) in order of layers."""
    config: CollectConfig
    token_means: bool
    encoders: tuple[tuple[str, str], ...] = ()
    """(derived hook point, digest) of the encoders whose units are among them."""
    package_version: str = VERSION
    """Of the program that collected: another one may sum or sample otherwise."""

    __repr__ = brief_repr

    def differences(self, other: SummaryIdentity) -> str:
        """``name: this here and that there`` for all that differs, joined; or empty."""
        mine, theirs = self.parts, other.parts
        result = []
        for name in (name for name in mine if mine[name] != theirs.get(name)):
            shown = "differ" if name == "units" else f"{mine[name]} and {theirs.get(name)}"
            result.append(f"{name}: {shown}")
        return "; ".join(result)

    @property
    def parts(self) -> dict[str, object]:
        """Every value by its name, those of the configuration as ``config.top_k``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        config = values.pop("config").model_dump(mode="json")
        return values | {f"config.{name}": value for name, value in config.items()}


_IDENTITY = TypeAdapter(SummaryIdentity)


class SummaryManifest(BaseModel):
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
    result = _IDENTITY.dump_python(identity, mode="json", exclude={_IN_TENSORS})
    return dict(result)


def identity_of(manifest: SummaryManifest, units: list[tuple[str, list[int]]]) -> SummaryIdentity:
    """The identity that a manifest and the tensors of units tell together."""
    return _IDENTITY.validate_python({**manifest.identity, _IN_TENSORS: units})


class DamagedSummaryError(InputError):
    """A file is not a complete summary of any version: reading it again is pointless."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what a damaged file gives into a sentence.

    Raises:
        DamagedSummaryError: in place of what reading a file that is not a complete summary raises.
        InputError: in place of what another version's fields raise.
        StorageError: in place of any OSError, which says nothing about what is in the file.
    """
    try:
        with storage_errors(path, verb="read"):
            yield
    except ValidationError as error:
        result = error.errors(include_url=False, include_input=False)
        # What is unknown tells of another version, which explains whatever else is wrong.
        first = min(result, key=lambda e: e["type"] != "extra_forbidden")
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            msg = f"{path} contains fields that this program does not know ({place}); {_OTHERS}"
        else:
            msg = f"{path} is not a complete summary ({place}: {first['msg']}); {_REMOVE}"
            raise DamagedSummaryError(msg) from error
        raise InputError(msg) from error
    except (LookupError, ValueError) as error:
        msg = f"{path} is not a complete summary ({error}); {_REMOVE}"
        raise DamagedSummaryError(msg) from error


def read_manifest(text: str, path: Path) -> SummaryManifest:
    """The manifest in a header.

    Raises:
        InputError: of another version, or it contains fields that this program does not know.
    """
    result = parse_json(text)
    version = result.get("schema_version") if isinstance(result, dict) else None
    if version not in _READABLE:
        raise InputError(
            f"{path} has summary version {version}, this program reads {SCHEMA_VERSION}; {_OTHERS}"
        )
    manifest = SummaryManifest.model_validate(result)
    known = {field.name for field in fields(SummaryIdentity)} - {_IN_TENSORS}
    unknown, lost = manifest.identity.keys() - known, known - manifest.identity.keys()
    if unknown:
        msg = f"{path} contains fields that this program does not know ({min(unknown)}); {_OTHERS}"
        raise InputError(msg)
    lost |= set(Split) - manifest.counts.keys()
    if lost:
        raise ValueError(f"its manifest lacks {min(lost)}")
    return manifest
