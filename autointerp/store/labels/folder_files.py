"""The files of a folder of labels as a whole: compacted, deleted, moved."""

from __future__ import annotations

from pathlib import Path

from autointerp.core.files import replacing, storage_errors, sync_folder
from autointerp.core.unreadable import OnUnreadable
from autointerp.store.labels.database import Database
from autointerp.store.labels.folder_records import FolderRecords
from autointerp.store.labels.label_database import LabelDatabase


class FolderFiles:
    """The files of labels, of evidence and of records; what waits to be written is not in them."""

    def __init__(
        self, folder: Path, table: LabelDatabase, records: FolderRecords, evidence: Database
    ) -> None:
        self._folder, self._table, self._records = folder, table, records
        self._evidence = evidence

    def compact(self, on_unreadable: OnUnreadable) -> list[str]:
        """As of the store."""
        for _, tables in self._records.all_tables():
            tables.compact(on_unreadable)
        self._table.compact()
        # Evidence may be asked for later: it is not part of what was made with the labels.
        paths = [database.path for database in self._databases() if database is not self._evidence]
        return [path.relative_to(self._folder).as_posix() for path in paths]

    def clear(self) -> None:
        """As of the store."""
        for database in self._databases():
            # What a killed writer left beside it is undone, and not done to the next file.
            with database.reading():
                pass
        with storage_errors(self._folder):
            for path in self._paths():
                path.unlink()

    def move_into(self, folder: Path) -> None:
        """As of the store."""
        moves = [(path, folder / path.relative_to(self._folder)) for path in self._paths()]
        for _, target in moves:
            with storage_errors(target):
                target.parent.mkdir(exist_ok=True)
                sync_folder(folder)
        for path, target in moves:
            with replacing(target) as temporary:
                path.replace(temporary)

    def _databases(self) -> list[Database]:
        """Those that there are, records first and labels last."""
        tables = [tables.database for _, tables in self._records.all_tables()]
        every = (*tables, self._evidence, self._table.database)
        return [one for one in every if one.is_there()]

    def _paths(self) -> list[Path]:
        return [database.path for database in self._databases()]
