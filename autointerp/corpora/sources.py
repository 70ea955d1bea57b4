"""Sources of text, by the name that a user writes, and mixtures of them."""

from __future__ import annotations

import math
import os.path
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.text import Document
from autointerp.corpora.document_files import FileSource
from autointerp.corpora.python_source import PythonSource

_KNOWN = (
    "wiki, python, a .txt, .jsonl or .parquet file or a folder of them, hf:NAME[:split[:field]], "
    "or a mixture such as wiki=0.7,python=0.3"
)


class Source(Protocol):
    """Documents from one place."""

    @property
    def name(self) -> str:
        """How the source is written in a corpus spec."""
        ...

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """Every document once: shuffled by ``rng``, or in its own order where it is a stream.

        Raises:
            InputError: the source cannot be read; the message says where.
        """
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """One source of a corpus."""

    name: str
    weight: float
    """Share of the tokens, 0..1; the shares of a corpus add up to 1."""


def parse_spec(spec: str) -> tuple[Share, ...]:
    """The sources named, with their shares; a path that exists is one source whatever its name.

    Raises:
        InputError: a weight that is not a positive number, or a source named twice.
    """
    name = spec.strip()
    if "=" not in name or is_path(name):
        return (Share(name, 1.0),)
    shares = [_parse_share(part, spec) for part in name.split(",")]
    if len({share.name for share in shares}) < len(shares):
        msg = f"the mixture {spec!r} names a source twice; name it once with the sum of its weights"
        raise InputError(msg)
    total = math.fsum(share.weight for share in shares)
    return tuple(Share(share.name, share.weight / total) for share in shares)


def is_path(name: str) -> bool:
    """Whether something lies there, a broken link included."""
    return os.path.lexists(os.path.expanduser(name))


def open_source(name: str) -> Source:
    """The source of that name.

    Raises:
        InputError: nothing of that name exists, or what it needs is not installed.
    """
    if name == "wiki":
        return _open_wiki()
    if name == "python":
        return PythonSource()
    if name.startswith("hf:"):
        return _open_hub(name)
    if is_path(name):
        return FileSource(name)
    what = "file or folder" if "/" in name or PurePath(name).suffix else "corpus"
    msg = f"there is no {what} {name!r}; known are {_KNOWN}"
    raise InputError(msg)


# The parsers of wiki and the library of hf are optional, so they are imported when asked for.
def _open_wiki() -> Source:
    try:
        from autointerp.corpora.wiki import WikiSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed("wiki", error, extra="embedded") from error
    return WikiSource()


def _open_hub(name: str) -> Source:
    dataset, *rest = name.removeprefix("hf:").split(":")
    if not dataset or len(rest) > 2 or not all(rest):
        msg = (
            f"{name!r} is not hf:NAME[:split[:field]]; "
            "write for example hf:roneneldan/TinyStories:train:text"
        )
        raise InputError(msg)
    try:
        from autointerp.corpora.huggingface import HuggingFaceSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed(name, error, extra="datasets") from error
    split, field = (*rest, *("train", "text")[len(rest) :])
    return HuggingFaceSource(dataset, split=split, field=field)


def _not_installed(name: str, error: ModuleNotFoundError, *, extra: str) -> InputError:
    return InputError(
        f"the corpus {name} needs the package {error.name}, which is not installed: "
        f"run `pip install 'autointerp[{extra}]'`"
    )


def _parse_share(part: str, spec: str) -> Share:
    name, _, number = part.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not name.strip() or not math.isfinite(weight) or weight <= 0:
        msg = (
            f"{part.strip()!r} in the mixture {spec!r} is not NAME=WEIGHT with a positive weight; "
            "write for example wiki=0.7,python=0.3"
        )
        raise InputError(msg)
    return Share(name.strip(), weight)
