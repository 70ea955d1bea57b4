"""The folder of a dictionary among the words of a command: ``show DIR UNIT``, ``show UNIT DIR``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.store.labels.folder_stores import holds_labels

_USUAL = Path("runs/demo")
FolderOption = Annotated[
    Path | None,
    typer.Option("--dir", help=f"Folder of a run or of a dictionary, as DIR (default: {_USUAL})."),
]
SERVER_HELP = {"server": "Address of a server, in place of a folder."}


@dataclass(frozen=True, slots=True)
class FolderWords:
    """What a command was given, apart."""

    folder: Path | None
    """As it was named, by a word or by ``--dir``; None where it was not."""
    words: tuple[str, ...]
    """The others, in their order."""

    @classmethod
    def of(
        cls, given: Sequence[str], option: Path | None, is_folder: Callable[[str], bool]
    ) -> FolderWords:
        """The words sorted.

        Raises:
            InputError: more than one folder is named.
        """
        named = [word for word in given if is_folder(word)]
        folders = {path.expanduser() for path in (*map(Path, named), option) if path is not None}
        if len(folders) > 1:
            shown = " and ".join(sorted(shortened(str(folder)) for folder in folders))
            raise InputError(f"one folder is read at a time; found {shown}")
        return cls(next(iter(folders), None), tuple(word for word in given if word not in named))

    def checked(self, server: str | None, wanted: str) -> Path:
        """The folder that is read where there is no server.

        Raises:
            InputError: both are named, or nothing else is, which `wanted` says.
        """
        if server is not None and self.folder is not None:
            raise InputError("labels are read from a folder or from a --server; name one of them")
        if not self.words:
            raise InputError(f"{self.folder} is a folder; name {wanted} too")
        return self.folder or _USUAL


def label_folder(folder: Path) -> Path:
    """The folder of a run or of a dictionary.

    Raises:
        InputError: it is neither.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the folder of a run with --dir")
    if not holds_labels(folder):
        raise InputError(
            f"{folder} is not a feature dictionary and holds no run: name another with --dir"
        )
    return folder


def is_dictionary(word: str) -> bool:
    """Whether a word is a path to where labels are, or is written as a path."""
    return word.startswith(("/", "./", "../", "~")) or holds_labels(Path(word))
