"""Sources of text, by the name that a user writes, and mixtures of them."""

from __future__ import annotations

import math
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np

from autointerp.core.errors import AutointerpError, InputError
from autointerp.core.one_line import shortened
from autointerp.core.text import Document
from autointerp.corpora.file_source import FileSource, check_named
from autointerp.corpora.named_paths import is_path

PARTIAL = "partial:"
_KNOWN = (
    "wiki, python, a .txt, .jsonl (.gz, .bz2, .xz, .zst too), .parquet or .arrow file[:field] or a "
    "folder of them, a folder of save_to_disk[:split[:field]], hf:NAME[:split[:field]], or a "
    "mixture such as wiki=0.7,python=0.3"
)


class TextSource(Protocol):
    """Documents from one place."""

    @property
    def name(self) -> str:
        """How the source is written in a corpus spec."""

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """Every document once: shuffled by ``rng``, or in its own order where it is a stream.

        Raises:
            InputError: the source cannot be read; the message says where.
        """


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
        raise InputError(
            f"the mixture {shortened(spec)} names a source twice; "
            "name it once with the sum of its weights"
        )
    total = math.fsum(share.weight for share in shares)
    return tuple(Share(share.name, share.weight / total) for share in shares)


class PartialSource:
    """What can be read of a source that may break before its end."""

    def __init__(self, source: TextSource) -> None:
        self._source = source
        self.name = f"{PARTIAL}{source.name}"
        self.broken: str | None = None
        """Why the source ended before its end."""
        if isinstance(source, FileSource) and source.broken:
            self.broken = source.broken.partition(";")[0]

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The documents up to the first that cannot be read."""
        n_read = 0
        try:
            for document in self._source.documents(rng):
                yield document
                n_read += 1
        except AutointerpError as error:
            if not n_read:
                raise
            self.broken = str(error).partition(";")[0]


def open_source(name: str) -> TextSource:
    """The source of that name.

    Raises:
        InputError: nothing of that name exists, or what it needs is not installed.
    """
    if name.startswith(PARTIAL) and not is_path(name):
        inside = name.removeprefix(PARTIAL)
        partial = FileSource(inside, partial=True) if is_path(inside) else open_source(inside)
        return PartialSource(partial)
    if name == "wiki":
        return _open_wiki()
    if name == "python":
        return PythonSource()
    if name.startswith("hf:"):
        return _open_hub(name)
    _refuse_unknown(name)
    return FileSource(name)


def check_corpus(spec: str) -> None:
    """Refuses, before anything is opened, what no source can be.

    Raises:
        InputError: as `parse_spec`, or a source, a split or a column that does not exist.
    """
    for share in parse_spec(spec):
        inside = share.name.removeprefix(PARTIAL)
        if inside not in {"wiki", "python"} and not inside.startswith("hf:"):
            name = share.name if is_path(share.name) else inside
            _refuse_unknown(name)
            check_named(name, partial=name != share.name)


def _refuse_unknown(name: str) -> None:
    if not is_path(name):
        what = "file or folder" if "/" in name or PurePath(name).suffix else "corpus"
        raise InputError(f"the {what} {shortened(name, most=300)} does not exist; use {_KNOWN}")


# The parsers of wiki and the library of hf are optional, so they are imported when asked for.
def _open_wiki() -> TextSource:
    try:
        from autointerp.corpora.wiki import WikiSource  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _not_installed("wiki", error, extra="embedded") from error
    return WikiSource()


def _open_hub(name: str) -> TextSource:
    dataset, *rest = name.removeprefix("hf:").split(":")
    if not dataset or len(rest) > 2 or not all(rest):
        raise InputError(
            f"{shortened(name)} is not hf:NAME[:split[:field]]; "
            "write for example hf:roneneldan/TinyStories:train:text"
        )
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
        raise InputError(
            f"{shortened(part.strip())} in the mixture {shortened(spec)} is not NAME=WEIGHT "
            "with a positive weight; write for example wiki=0.7,python=0.3"
        )
    return Share(name.strip(), weight)


# Tests, what pip put there, and modules that are tables written by programs.
_SKIPPED_FOLDERS = {
    "__pycache__", "dist-packages", "encodings", "idle_test", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests",
}  # fmt: skip
_MAX_BYTES = 200_000


class PythonSource:
    """Modules of the standard library of the running Python, a document each."""

    name = "python"

    def __init__(self, folder: Path | None = None) -> None:
        """Lists the modules in a folder; None takes the library of the running Python.

        Raises:
            InputError: there are none, as in a Python whose library is a zip file.
        """
        self._folder = folder or Path(sysconfig.get_path("stdlib"))
        self._modules = sorted(
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*.py")
            if self._is_wanted(path)
        )
        if not self._modules:
            raise InputError(
                f"the corpus python reads the standard library's sources, but {self._folder} "
                "holds none; use a Python that is installed with them"
            )

    def documents(self, rng: np.random.Generator, /) -> Iterator[Document]:
        """The modules, shuffled; their source is the path below the library's folder."""
        for i in rng.permutation(len(self._modules)):
            module = self._modules[i]
            try:
                with tokenize.open(self._folder / module) as stream:
                    text = stream.read()
            except (OSError, SyntaxError, UnicodeDecodeError) as error:
                msg = f"cannot read {self._folder / module}: {error}; fix or remove the file"
                raise InputError(msg) from error
            yield Document(text, module)

    def _is_wanted(self, path: Path) -> bool:
        folders = path.relative_to(self._folder).parts[:-1]
        return not _SKIPPED_FOLDERS.intersection(folders) and path.stat().st_size <= _MAX_BYTES
