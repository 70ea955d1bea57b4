"""Labels in memory, in the order of their units, as `autointerp.label` gives them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label
from autointerp.core.files import storage_errors
from autointerp.core.ids import Side, UnitId
from autointerp.core.notebook_html import labels_html
from autointerp.dictionary.manifest import ManifestInfo
from autointerp.dictionary.read import Dictionary, open_dictionary
from autointerp.dictionary.write import write_dictionary
from autointerp.store.label_records import LabelRecords, label_records
from autointerp.store.labels import UnitStore
from autointerp.store.recorded_labels import RecordedLabel, with_records
from autointerp.store.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class LabelledUnits(list[RecordedLabel]):
    """Labels of a job, each with its records; a list that can be saved as a dictionary."""

    def __init__(self, labels: Iterable[Label], store: UnitStore, job: JobSpec) -> None:
        """Labels whose records are in the store, and the job that makes them again."""
        super().__init__(with_records(x, partial(_records, store, x.unit, x.side)) for x in labels)
        self._store = store
        self.job = job

    def __repr__(self) -> str:
        return f"LabelledUnits({self.job.subject}, {self.job.units}, {len(self):,} labels)"

    def _repr_html_(self) -> str:
        return labels_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """The table of a dictionary of these labels as a data frame.

        Raises:
            InputError: pandas is not installed.
        """
        from autointerp.dictionary.table_reading import labels_table, pandas_frame  # noqa: PLC0415

        return pandas_frame(labels_table(self))

    def to_polars(self) -> pl.DataFrame:
        """The same as a data frame of polars.

        Raises:
            InputError: polars is not installed.
        """
        from autointerp.dictionary.table_reading import labels_table, polars_frame  # noqa: PLC0415

        return polars_frame(labels_table(self))

    def save(self, folder: Path | str) -> Dictionary:
        """The feature dictionary that now lies in the folder, which must be new or empty.

        Raises:
            InputError: there are no labels, or the folder holds something.
            StorageError: the disk refuses.
        """
        if not self:
            raise InputError("there are no labels to save; label some units first")
        folder = Path(folder)
        with storage_errors(folder, verb="read"):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError(f"{folder} holds something already; save to a new folder")
        with RunFolder.open(folder, self.job, resume=False) as run:
            for label in self:
                run.store.put_label(label)
                sets = self._store.get_sets(label.unit, label.side)
                if sets is not None:
                    run.store.put_sets(sets)
            info = ManifestInfo(self.job, self[0].provenance, datetime.now(UTC))
            write_dictionary(run.folder, run.store, info)
        return open_dictionary(folder)


def _records(store: UnitStore, unit: UnitId, side: Side) -> LabelRecords | None:
    label, sets = store.get_label(unit, side), store.get_sets(unit, side)
    return None if label is None or sets is None else label_records(label, sets)
