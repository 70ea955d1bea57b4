"""Which batches were sent with which requests, kept on disk so that none is paid twice."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import write_atomic


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class BatchRecord(_Stored):
    """One batch, from before it is sent."""

    mark: str
    """Stands in the batch's metadata, so that a batch whose id was never read is found."""
    batch_id: str | None = None
    """None until the endpoint has said it."""
    requests: dict[str, str]
    """Custom ids by request key."""


class _File(_Stored):
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
        self._file = self._read() or _File(endpoint=endpoint, model=model, batches=[])
        if (self._file.endpoint, self._file.model) != (endpoint, model):
            msg = (
                f"{path} is of {self._file.model} at {self._file.endpoint}, not of {model} at "
                f"{endpoint}; use the same ones again or another folder"
            )
            raise InputError(msg)

    @property
    def by_request(self) -> dict[str, BatchRecord]:
        """The latest batch with each request."""
        return {key: record for record in self._file.batches for key in record.requests}

    def add(self, record: BatchRecord) -> None:
        """Keeps a batch; it is on disk when this returns.

        Raises:
            StorageError: the disk refuses.
        """
        self._file.batches.append(record)
        self._write()

    def name(self, record: BatchRecord, batch_id: str) -> None:
        """Keeps the id that the endpoint gave a batch.

        Raises:
            StorageError: the disk refuses.
        """
        record.batch_id = batch_id
        self._write()

    def _read(self) -> _File | None:
        try:
            return _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"could not read {self._path}: {error.strerror}; mend its permissions"
            raise StorageError(msg) from error
        except ValidationError as error:
            msg = (
                f"{self._path} is damaged; delete it, and batches sent before are not found "
                "again but asked and paid anew"
            )
            raise InputError(msg) from error

    def _write(self) -> None:
        try:
            write_atomic(self._path, self._file.model_dump_json().encode())
        except OSError as error:
            msg = (
                f"could not write {self._path}: {error.strerror}; free some space and run again "
                "with --resume"
            )
            raise StorageError(msg) from error
