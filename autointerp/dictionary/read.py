"""Reads a feature dictionary: its table, every label whole, and the records behind it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.core.errors import InputError, StorageError
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId, UnitName
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.dictionary.manifest import (
    AGAIN,
    MANIFEST,
    PARQUET,
    Manifest,
    file_digest,
    read_manifest,
)
from autointerp.store.label_records import LabelRecords, label_records
from autointerp.store.labels import FolderLabelStore
from autointerp.store.recorded_labels import RecordedLabel, with_records

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from autointerp.core.config import JobSpec
    from autointerp.dictionary.rows import Row


class Dictionary:
    """A feature dictionary in a folder; files are read when they are asked for."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._store = FolderLabelStore(folder, advice=AGAIN)

    def __repr__(self) -> str:
        made = self.manifest
        return f"Dictionary({made.subject}, {made.counts.labels:,} labels, {self.folder})"

    def _repr_html_(self) -> str:
        from autointerp.dictionary.notebook_pages import dictionary_html  # noqa: PLC0415 - reads the table

        return dictionary_html(self)

    def __len__(self) -> int:
        return self.manifest.counts.labels

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[RecordedLabel]:
        """Every label whole, in the order of the rows, each with its records."""
        return map(self._recorded, self.labels())

    def __getitem__(self, text: str) -> RecordedLabel:
        """The label of one unit, named as for `find`; ``10:127 -`` names a side of two.

        Raises:
            InputError: there is none, or there are two.
        """
        if not isinstance(text, str):
            raise InputError(f"labels are named by their units, as '10:127'; found {text!r}")
        unit, sign = text.strip(), ""
        if unit[-1:] in {"+", "-"}:
            unit, sign = unit[:-1], unit[-1]
        found = [x for x in self.find(unit) if not sign or x.side.sign == int(f"{sign}1")]
        if len(found) != 1:
            said = ", ".join(f"'{one!r}'" for one in self.find(unit))
            raise InputError(f"{text} is not one label; there are {said}: name hook point and side")
        return self._recorded(found[0])

    def __contains__(self, text: object) -> bool:
        try:
            return isinstance(text, str) and bool(self[text])
        except InputError:
            return False

    def _recorded(self, label: Label) -> RecordedLabel:
        return with_records(label, partial(self.records, label.unit, label.side))

    @property
    def job(self) -> JobSpec:
        """The job that makes this dictionary again.

        Raises:
            InputError: its labels were downloaded from a server, where several jobs make them, or
                what the manifest says of it cannot be read.
        """
        job = self.manifest.job
        if job is None:
            raise InputError(
                f"the manifest of {self.folder} names no job, as its labels were downloaded from "
                "a server; give the units and options of a job"
            )
        return job

    def file(self, name: str) -> Path:
        """The path of one of its files, or a StorageError where it is missing."""
        path = self.folder / name
        if not path.is_file():
            raise StorageError(f"{self.folder} lacks {name}; {AGAIN}")
        return path

    def rows(self) -> Iterator[Row]:
        """Every row of the table, by layer, hook point, index and side.

        Columns that it was written without are None.
        """
        from autointerp.dictionary.table_reading import table_rows  # noqa: PLC0415 - brings pyarrow

        return table_rows(self.file(PARQUET))

    def sides(self) -> tuple[tuple[UnitId, Side], ...]:
        """What each row is of, in the order of the rows."""
        from autointerp.dictionary.table_reading import table_keys  # noqa: PLC0415 - brings pyarrow

        subject = self.manifest.subject
        keys = table_keys(self.file(PARQUET))
        return tuple((UnitId(subject, hook, index), side) for hook, index, side in keys)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame.

        Raises:
            InputError: pandas is not installed.
        """
        from autointerp.dictionary.table_reading import pandas_frame, table_of  # noqa: PLC0415

        return pandas_frame(table_of(self.file(PARQUET)))

    def to_polars(self) -> pl.DataFrame:
        """The table as a data frame of polars.

        Raises:
            InputError: polars is not installed.
        """
        from autointerp.dictionary.table_reading import polars_frame, table_of  # noqa: PLC0415

        return polars_frame(table_of(self.file(PARQUET)))

    def label(self, unit: UnitId, side: Side) -> Label | None:
        """The whole label with every score and trial, or None where there is none."""
        return self._store.get_label(unit, side)

    def label_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        """The same without what it was judged by, which takes much longer to read."""
        return self._store.get_without_trials(unit, side)

    def labels(self, on_unreadable: OnUnreadable = refuse_unreadable) -> Iterator[Label]:
        """Every label whole, in the order of the rows, one at a time."""
        self._check_labels()
        return self._store.labels(on_unreadable)

    def records(self, unit: UnitId, side: Side) -> LabelRecords | None:
        """The side's exemplars with real and predicted activations, or None without any."""
        label = self._store.get_label(unit, side)
        return None if label is None else self.records_of(label)

    def sets(self, label: Label) -> UnitSets | None:
        """What the label was made from, or None where that is not kept."""
        return self._store.get_sets(label.unit, label.side)

    def evidence(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        """Causal evidence that is kept of the unit, of the same kind the oldest first."""
        return self._store.evidence_of(unit, on_unreadable)

    def records_of(self, label: Label) -> LabelRecords | None:
        """The same of a label of the dictionary, which is not read again."""
        sets = self.sets(label)
        return None if sets is None else label_records(label, sets)

    def find(self, text: str) -> tuple[Label, ...]:
        """The labels of one unit, a side each.

        Args:
            text: ``subject/hook/index`` or ``hook/index``; ``layer/index`` and ``layer:index``
                take every hook point of the layer.

        Raises:
            InputError: the text does not name a unit, or the dictionary has no label of it.
        """
        name = UnitName.parse(text)
        self._check_labels()
        subject = self.manifest.subject
        units = name.among(subject, self._store.hooks)
        labels = tuple(label for unit in units for label in self._store.get_sides(unit))
        if not labels:
            job = self.manifest.job_fields
            made = f", made with units {job['units']}" if job and "units" in job else ""
            raise InputError(
                f"{self.folder} has no label of {text}; it holds {self.manifest.counts.labels} "
                f"labels of {subject}{made}"
            )
        return labels

    def _check_labels(self) -> None:
        if self.manifest.counts.labels and self._store.is_empty():
            raise StorageError(f"{self.folder} lacks its labels; {AGAIN}")

    def verify(self) -> tuple[str, ...]:
        """One sentence for each file that is missing or differs from the manifest; else empty."""
        result = []
        for name, digest in self.manifest.files.items():
            path = self.folder / name
            if not path.is_file():
                result.append(f"{name} is missing")
            elif file_digest(path) != digest:
                result.append(f"{name} is not the file that the manifest names")
        return tuple(result)


def open_example() -> Dictionary:
    """The dictionary that comes with the package: neurons of SmolLM2-135M, by a capable LLM."""
    return open_dictionary(Path(__file__).parents[1] / "examples" / "smollm2-135m")


def open_dictionary(path: Path | str) -> Dictionary:
    """The dictionary in a folder, or beside a ``manifest.json``.

    Raises:
        InputError: there is none, or a newer autointerp wrote it.
    """
    path = Path(path)
    if path.is_file() and path.name != MANIFEST:
        raise InputError(f"{path} is not a feature dictionary: give its folder or its {MANIFEST}")
    folder = path.parent if path.name == MANIFEST and not path.is_dir() else path
    return Dictionary(folder, read_manifest(folder))
