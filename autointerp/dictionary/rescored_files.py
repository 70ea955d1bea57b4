"""Labels that were rescored, kept in a folder while more are, and the report of all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import read_file, storage_errors, write_atomic
from autointerp.core.ids import Side, UnitId
from autointerp.core.json_text import parse_json
from autointerp.core.plain_values import PlainValueError, read_plain, to_plain
from autointerp.dictionary.rescored_labels import RescoredLabel, RescoreReport, rescore_json

ASKED, LINES, REPORT = "rescore.json", "labels.jsonl", "report.json"
_OTHER = "choose another --out"


@dataclass(frozen=True, slots=True)
class RescoreFolder:
    """``rescore.json`` says what was asked, ``labels.jsonl`` has a line a label."""

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

    def add(self, labels: Iterable[RescoredLabel]) -> None:
        """Puts them behind those that are there, on the disk when this returns.

        Raises:
            StorageError: the disk refuses.
        """
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
