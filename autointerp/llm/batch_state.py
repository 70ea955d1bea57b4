"""Which batches were sent with which requests, kept on disk so that none is paid twice."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.core.errors import InputError
from autointerp.core.files import read_file, write_atomic


class BatchRecord(BaseModel):
    """One batch, from before it is sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mark: str
    """Stands in the batch's metadata, so that a batch whose id was never read is found."""
    batch_id: str | None = None
    """None until the endpoint has named it."""
    requests: dict[str, str]
    """Custom ids by request key."""


class _BatchFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = 1
    endpoint: str
    model: str
    batches: list[BatchRecord]


class BatchState:
    """The batches of one model at one endpoint, in one file with one writer."""

    def __init__(self, path: Path, *, endpoint: str, model: str) -> None:
        """Reads the file if there is one.

        Raises:
            InputError: it is damaged, or of another endpoint or model.
            StorageError: it cannot be read.
        """
        self._path = path
        self._file = self._read() or _BatchFile(endpoint=endpoint, model=model, batches=[])
        if (self._file.endpoint, self._file.model) != (endpoint, model):
            raise InputError(
                f"{path} is of {self._file.model} at {self._file.endpoint}, not of {model} at "
                f"{endpoint}; use the same ones again or another folder"
            )

    @property
    def by_request(self) -> dict[str, BatchRecord]:
        """The latest batch with each request."""
        return {key: record for record in self._file.batches for key in record.requests}

    def add(self, record: BatchRecord) -> None:
        """Adds a batch; it is on disk when this returns.

        Raises:
            StorageError: the disk refuses.
        """
        self._file.batches.append(record)
        self._write()

    def name(self, record: BatchRecord, batch_id: str) -> None:
        """Stores the id that the endpoint gave a batch.

        Raises:
            StorageError: the disk refuses.
        """
        record.batch_id = batch_id
        self._write()

    def _read(self) -> _BatchFile | None:
        data = read_file(self._path)
        try:
            return None if data is None else _BatchFile.model_validate_json(data)
        except ValidationError as error:
            raise InputError(
                f"{self._path} is damaged; delete it, and batches sent before are not found "
                "again but sent and paid anew"
            ) from error

    def _write(self) -> None:
        write_atomic(self._path, self._file.model_dump_json().encode())
