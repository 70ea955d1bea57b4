"""A store of labels whose process ends before one of its writes."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from autointerp.store.labels.folder_store import FolderLabelStore


class StoppedError(Exception):
    """The process ended."""


class StoppedStore(FolderLabelStore):
    """Writes as often as `n_left` says, and is not there after that."""

    n_left = 1_000

    @override
    def _put(self, *args: Any) -> None:
        if not self.n_left:
            raise StoppedError
        self.n_left -= 1
        super()._put(*args)
