"""The folder of a study: what was asked, then the figures and a page of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autointerp.core.errors import DamagedError, InputError
from autointerp.core.files import read_file, storage_errors, write_atomic
from autointerp.core.study_report import StudyReport
from autointerp.web.study_pages import study_page

ASKED, FIGURES, PAGE = "asked.json", "study.json", "report.html"
_OTHER = "choose another --out"


def begin_study(
    folder: Path, kind: str, asked: Mapping[str, object], *, resume: bool = False
) -> None:
    """Notes in the folder what is asked; what was made there must be of the same study.

    Raises:
        InputError: it is a file, or holds another study or other files; or it holds results of
            this study and `resume` is false.
        StorageError: the disk refuses.
    """
    now = {"study": kind, **asked}
    stored = _asked(folder / ASKED)
    if stored is None:
        _refuse_other_files(folder)
    # A study that ended before it made anything, as of a model that is not there, gives way.
    if stored is None or not _has_more(folder):
        write_atomic(folder / ASKED, (json.dumps(now, indent=2) + "\n").encode())
        return
    for name in sorted(now.keys() | stored.keys(), key=lambda name: (name != "study", name)):
        if now.get(name) != stored.get(name):
            raise InputError(
                f"{folder} holds another study: {name} is {stored.get(name)!r} there and "
                f"{now.get(name)!r} here; {_OTHER} or ask for the same again"
            )
    if not resume and _has_more(folder):
        raise InputError(
            f"{folder} holds results of this study; add --resume to continue or {_OTHER}"
        )


@contextmanager
def study_place(given: Path | None) -> Iterator[Path]:
    """Where labels of a study are made: its folder, or one that is gone after the block."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory(prefix="autointerp-study-") as made:
        yield Path(made)


def finish_study(folder: Path, report: StudyReport) -> None:
    """Writes the figures and the page.

    Raises:
        StorageError: the disk refuses.
    """
    figures = json.dumps(report.to_json(), indent=2) + "\n"
    write_atomic(folder / FIGURES, figures.encode())
    write_atomic(folder / PAGE, study_page(report).encode())


def _asked(path: Path) -> dict[str, object] | None:
    data = read_file(path) if path.parent.is_dir() else None
    if data is None:
        return None
    try:
        stored: dict[str, object] = json.loads(data)
    except ValueError as error:
        raise DamagedError(f"{path} does not say what was asked: {error}; {_OTHER}") from error
    return stored


def _refuse_other_files(folder: Path) -> None:
    with storage_errors(folder, verb="read"):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, not a folder; {_OTHER}")
        found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found:
        raise InputError(
            f"{folder} is not empty and does not hold a study (it has {found[0]} but no {ASKED}); "
            f"{_OTHER}"
        )


def _has_more(folder: Path) -> bool:
    return any(path.name != ASKED for path in folder.iterdir())
