"""Windows of both texts for each rescored label, kept beside its scores for whoever looks at it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autointerp.core.files import gunzip
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr
from autointerp.core.records import HeldOutSet
from autointerp.core.scores import Trial
from autointerp.store.codec import Codec
from autointerp.store.label_records import ScoredRecord, scored_records
from autointerp.store.labels.database import Database

WINDOWS = "windows.sqlite"
_TABLES = """
PRAGMA page_size = 4096;
CREATE TABLE windows (unit TEXT, side TEXT, packed BLOB, PRIMARY KEY (unit, side))
"""
_STRONGEST, _PREDICTED, _DIGITS = 4, 2, 4


@dataclass(frozen=True, slots=True)
class RescoredWindows:
    """Some held-out windows of both texts, with what the label predicts in them.

    Of either text those in which the side is strongest, then others for which the label predicts
    most; activations have four digits.
    """

    unit: UnitId
    side: Side
    peak: float
    """Largest activation of the side over the text that the label was learned on, model units."""
    own: tuple[ScoredRecord, ...]
    """Of the text that the label was learned on."""
    other: tuple[ScoredRecord, ...]
    """Of the other text; none where nothing was judged there."""

    __repr__ = brief_repr

    @property
    def n_strongest(self) -> int:
        """So many of either text are the strongest, or all; the others are those predicted most."""
        return _STRONGEST


_CODEC = Codec("rescored windows", RescoredWindows)


def shown_windows(held_out: HeldOutSet, trials: Sequence[Trial]) -> tuple[ScoredRecord, ...]:
    """The windows of one text that are kept, strongest first; those with a prediction alone."""
    side = held_out.side
    judged = [one for one in scored_records(held_out, trials) if one.predicted is not None]
    strongest = sorted(judged, key=lambda one: -one.peak(side))
    kept, others = strongest[:_STRONGEST], strongest[_STRONGEST:]
    predicted = sorted(others, key=lambda one: -max(one.predicted or (), default=0.0))
    kept += [one for one in predicted[:_PREDICTED] if max(one.predicted or (), default=0.0) > 0]
    return tuple(map(_rounded, kept))


def _rounded(record: ScoredRecord) -> ScoredRecord:
    activations, predicted = (
        tuple(float(f"{value:.{_DIGITS}g}") for value in values)
        for values in (record.activations, record.predicted or ())
    )
    return replace(record, activations=activations, predicted=predicted)


@dataclass(frozen=True, slots=True)
class WindowsFile:
    """The windows of many labels in a file of a folder."""

    folder: Path

    def add(self, windows: Iterable[RescoredWindows]) -> None:
        """Puts them there, in the place of others of the same side of a unit.

        Raises:
            StorageError: the disk refuses.
        """
        rows = [(str(w.unit), w.side, gzip.compress(_CODEC.encode(w), mtime=0)) for w in windows]
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO windows VALUES (?, ?, ?)", rows)

    def read(self, unit: UnitId, side: Side) -> RescoredWindows | None:
        """Those of a label; None where none were kept.

        Raises:
            StorageError: they cannot be read.
        """
        query = "SELECT packed FROM windows WHERE unit = ? AND side = ?"
        with self._database.reading() as connection:
            found = connection and connection.execute(query, (str(unit), side)).fetchone()
        if not found:
            return None
        where = f"the windows of {unit} in {self.folder / WINDOWS}"
        return _CODEC.decode(gunzip(found[0], where=where), where=where)

    @property
    def _database(self) -> Database:
        return Database(self.folder / WINDOWS, _TABLES)
