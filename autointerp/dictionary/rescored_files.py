"""Labels that were rescored, kept in a folder while more are, and the report of all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import read_file, storage_errors, write_atomic
from autointerp.core.ids import Side, UnitId
from autointerp.core.json_text import parse_json
from autointerp.core.plain_values import PlainValueError, read_plain, to_plain
from autointerp.dictionary.rescored_labels import (
    RescoredLabel,
    RescoreReport,
    rescore_json,
    tested,
)
from autointerp.dictionary.rescored_windows import RescoredWindows, WindowsFile

ASKED, LINES, REPORT = "rescore.json", "labels.jsonl", "report.json"
_OTHER = "choose another --out"


def is_rescored(folder: Path) -> bool:
    """Whether a folder is one in which ``rescore`` keeps its results."""
    return (folder / ASKED).is_file()


@dataclass(frozen=True, slots=True)
class _StoredReport:
    """What is read of a report."""

    subject: str
    corpus: str
    other_corpus: str
    n_tokens: int
    n_dictionary: int
    notes: tuple[str, ...]
    seconds: dict[str, float]


_REPORTED = tuple(field.name for field in fields(_StoredReport))


@dataclass(frozen=True, slots=True)
class RescoreFolder:
    """``rescore.json`` says what was asked, ``labels.jsonl`` has a line a label.

    ``windows.sqlite`` has texts of each label to look at, and ``report.json`` is of all of them.
    """

    folder: Path

    @property
    def collection(self) -> Path:
        """Folder of what was read of the other text; of no use when all labels are there."""
        return self.folder / "collection"

    def begin(self, asked: Mapping[str, object], *, resume: bool) -> None:
        """Notes what is asked; what is there must be of the same.

        Raises:
            InputError: it holds something else, or labels and `resume` is false.
            StorageError: the disk refuses.
        """
        stored = self._asked()
        if stored is None:
            self._refuse_other_files()
            text = json.dumps(asked, indent=2) + "\n"
            write_atomic(self.folder / ASKED, text.encode())
            return
        for name in sorted(asked.keys() | stored.keys()):
            if asked.get(name) != stored.get(name):
                raise InputError(
                    f"{self.folder} holds other results: {name} is {stored.get(name)!r} there and "
                    f"{asked.get(name)!r} here; {_OTHER} or ask for the same again"
                )
        n_labels = len(self.read())
        if n_labels and not resume:
            raise InputError(
                f"{self.folder} holds {n_labels} rescored labels; add --resume to continue or "
                f"{_OTHER}"
            )

    def read(self) -> dict[tuple[UnitId, Side], RescoredLabel]:
        """The labels that are there; a line that was being written when a run died is left out.

        Raises:
            StorageError: another line is damaged.
        """
        path = self.folder / LINES
        lines = (read_file(path) or b"").split(b"\n")
        found: dict[tuple[UnitId, Side], RescoredLabel] = {}
        for number, line in enumerate(lines[:-1], 1):
            try:
                label = read_plain(RescoredLabel, parse_json(line))
            except (ValueError, PlainValueError) as error:
                msg = f"line {number} of {path} cannot be read: {error}; delete it and --resume"
                raise StorageError(msg) from error
            found[label.unit, label.side] = label
        return found

    @property
    def windows(self) -> WindowsFile:
        """Texts of each label."""
        return WindowsFile(self.folder)

    def add(self, labels: Iterable[RescoredLabel], windows: Iterable[RescoredWindows] = ()) -> None:
        """Puts them behind those that are there, on the disk when this returns.

        Raises:
            StorageError: the disk refuses.
        """
        self.windows.add(windows)
        path = self.folder / LINES
        lines = [json.dumps(to_plain(RescoredLabel, label)) + "\n" for label in labels]
        with storage_errors(path), path.open("r+b" if path.exists() else "xb") as file:
            # What a run left unfinished at the end is written over.
            file.seek((read_file(path) or b"").rfind(b"\n") + 1)
            file.truncate()
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def finish(self, report: RescoreReport) -> None:
        """Writes the report.

        Raises:
            StorageError: the disk refuses.
        """
        text = json.dumps(rescore_json(report), indent=1) + "\n"
        write_atomic(self.folder / REPORT, text.encode())

    def check(self) -> None:
        """Nothing, where a report is there.

        Raises:
            InputError: there is none: it is another folder, or not all labels are finished.
        """
        if (self.folder / REPORT).is_file():
            return
        what = "its labels are not finished: run it again with --resume"
        if not is_rescored(self.folder):
            what = "`autointerp rescore DIR --out FOLDER` makes one"
        raise InputError(f"{self.folder} holds no report of rescored labels; {what}")

    def stamp(self) -> object:
        """Another one where the report was written anew; None where there is none."""
        try:
            found = os.stat(self.folder / REPORT)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def report(self) -> RescoreReport:
        """The report that is there, with its labels.

        Raises:
            InputError: there is none: it is another folder, or not all labels are finished.
            StorageError: it is damaged.
        """
        path = self.folder / REPORT
        self.check()
        data = read_file(path) or b""
        try:
            stored = read_plain(_StoredReport, {k: parse_json(data)[k] for k in _REPORTED})
        except (ValueError, KeyError, TypeError, PlainValueError) as error:
            msg = f"{path} cannot be read: {error!r}; delete it and run again with --resume"
            raise StorageError(msg) from error
        return RescoreReport(
            subject=stored.subject,
            corpus=stored.corpus,
            other=stored.other_corpus,
            n_tokens=stored.n_tokens,
            n_dictionary=stored.n_dictionary,
            labels=tested([*self.read().values()]),
            notes=stored.notes,
            seconds=stored.seconds,
            folder=self.folder,
        )

    def _asked(self) -> Mapping[str, object] | None:
        data = read_file(self.folder / ASKED)
        if data is None:
            return None
        try:
            stored = parse_json(data)
        except ValueError as error:
            raise InputError(f"{self.folder / ASKED} cannot be read; {_OTHER}") from error
        if not isinstance(stored, dict):
            raise InputError(f"{self.folder / ASKED} cannot be read; {_OTHER}")
        return stored

    def _refuse_other_files(self) -> None:
        with storage_errors(self.folder, verb="read"):
            if not self.folder.exists():
                return
            if not self.folder.is_dir():
                raise InputError(f"{self.folder} is a file, not a folder; {_OTHER}")
            names = sorted(p.name for p in self.folder.iterdir() if not p.name.startswith("."))
        if names:
            raise InputError(
                f"{self.folder} is not empty and holds no rescored labels (it has {names[0]}); "
                f"{_OTHER}"
            )
