"""A dictionary's folder under another name than that of its subject model."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from autointerp.core.explanations import Label, LabelOrigin
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import KeptEvidence
from autointerp.core.records import UnitSets
from autointerp.core.unreadable import OnUnreadable, refuse_unreadable
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.labels.label_store import RowOf, RowsOf


class NamedFolderStore(FolderLabelStore):
    """The labels of a model in a folder of any name: units are asked for by that name.

    Labels, records and rows name their subject model, as they are stored.
    """

    def __init__(
        self, folder: Path, subject: str, row_of: RowOf | None, rows_of: RowsOf | None
    ) -> None:
        super().__init__(folder, row_of, rows_of=rows_of)
        self._subject = subject

    def _own(self, unit: UnitId) -> UnitId:
        return replace(unit, subject=self._subject)

    @override
    def get_label(self, unit: UnitId, side: Side) -> Label | None:
        return super().get_label(self._own(unit), side)

    @override
    def get_without_trials(self, unit: UnitId, side: Side) -> Label | None:
        return super().get_without_trials(self._own(unit), side)

    @override
    def get_sides(
        self,
        unit: UnitId,
        on_unreadable: OnUnreadable = refuse_unreadable,
        *,
        with_trials: bool = True,
    ) -> tuple[Label, ...]:
        return super().get_sides(self._own(unit), on_unreadable, with_trials=with_trials)

    @override
    def stamp(self, unit: UnitId) -> Hashable | None:
        return super().stamp(self._own(unit))

    @override
    def kept_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[Label, ...]:
        return super().kept_of(self._own(unit), on_unreadable)

    @override
    def put_evidence(self, kept: KeptEvidence) -> None:
        super().put_evidence(replace(kept, unit=self._own(kept.unit)))

    @override
    def evidence_of(
        self, unit: UnitId, on_unreadable: OnUnreadable = refuse_unreadable
    ) -> tuple[KeptEvidence, ...]:
        return super().evidence_of(self._own(unit), on_unreadable)

    @override
    def get_sets(
        self, unit: UnitId, side: Side, origin: LabelOrigin | None = None
    ) -> UnitSets | None:
        return super().get_sets(self._own(unit), side, origin)
