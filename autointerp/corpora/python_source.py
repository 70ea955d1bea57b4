"""The sources of Python's own standard library: a corpus of code."""

from __future__ import annotations

import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.text import Document

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
        """Lists the modules.

        Args:
            folder: where the sources lie; None takes those of the running Python.

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
            msg = (
                f"the corpus python reads the standard library's sources, but {self._folder} "
                "holds none; use a Python that is installed with them"
            )
            raise InputError(msg)

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
