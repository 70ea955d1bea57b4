"""The folder of one labelling run: one job, one writer, and all of its results."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from pydantic import ValidationError

from autointerp.core.addresses import stored_address
from autointerp.core.config import JobSpec, as_stored
from autointerp.core.errors import InputError, first_problem
from autointerp.core.files import (
    TEMP_SUFFIX,
    read_file,
    remove_leftovers,
    storage_errors,
    write_atomic,
)
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.store.lock import only_writer

_LOCK = ".lock"
_JOB = "job.json"
_OTHER = "choose another --out"
SMALL_COLLECTION = 16 * 2**20


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder, locked for this process. The folder itself is the feature dictionary."""

    folder: Path
    job: JobSpec

    @property
    def store(self) -> FolderLabelStore:
        """Labels and record sets."""
        return FolderLabelStore(self.folder)

    @property
    def summary(self) -> Path:
        """Folder of the collected summary."""
        return self.folder / "summary"

    def remove_large_collection(self) -> int:
        """Deletes the collected summary where it takes room: it is larger than all labels.

        Returns:
            The bytes that are free now; 0 where it stays.
        """
        with storage_errors(self.summary):
            n_bytes = _bytes_of(self.summary)
            if n_bytes <= SMALL_COLLECTION:
                return 0
            shutil.rmtree(self.summary, ignore_errors=True)
            return n_bytes - _bytes_of(self.summary)

    @property
    def checkpoint(self) -> Path:
        """Folder of a collection that is not finished."""
        return self.folder / "checkpoint"

    @classmethod
    @contextmanager
    def open(cls, folder: Path | str, job: JobSpec, *, resume: bool) -> Iterator[RunFolder]:
        """The folder, made where it is missing and locked until the block ends.

        Raises:
            InputError: another process writes there; it holds another run or other files; it holds
                labels of this run and `resume` is false.
            StorageError: the disk refuses.
        """
        run = cls(Path(folder), job)
        run._refuse_other_files()
        with storage_errors(run.folder, verb="make"):
            run.folder.mkdir(parents=True, exist_ok=True)
        with only_writer(run.folder, _LOCK):
            run._write_job(resume=resume)
            yield run

    def _refuse_other_files(self) -> None:
        with storage_errors(self.folder, verb="read"):
            if not self.folder.exists() or lexists(self.folder / _JOB):
                return
            if not self.folder.is_dir():
                raise InputError(f"{self.folder} is a file, not a folder; {_OTHER}")
            result = sorted(p.name for p in self.folder.iterdir() if not _is_ours(p))
        if result:
            raise InputError(
                f"{self.folder} is not empty and does not hold a run (it has {result[0]} but no "
                f"{_JOB}); {_OTHER}"
            )

    def _write_job(self, *, resume: bool) -> None:
        path = self.folder / _JOB
        # A run that failed before it had results does not own its folder.
        if not lexists(path) or (_read_job(path) != self.job and not self._has_results()):
            self._put(self.job)
        stored = _read_job(path)
        self._refuse_other_job(stored)
        if stored.llm != stored_address(stored.llm):
            # An earlier version wrote the password down.
            self._put(stored)
        remove_leftovers(self.folder)
        n_labels = self.store.count()
        if n_labels and not resume:
            raise InputError(
                f"{self.folder} holds {n_labels} finished labels of this run; "
                f"add --resume to continue or {_OTHER}"
            )

    def _put(self, job: JobSpec) -> None:
        write_atomic(self.folder / _JOB, (job.model_dump_json(indent=2) + "\n").encode())

    def _has_results(self) -> bool:
        return self.summary.exists() or self.store.count() > 0

    def _refuse_other_job(self, stored: JobSpec) -> None:
        there, here = _flat(stored.model_dump(mode="json")), _flat(self.job.model_dump(mode="json"))
        # The LLM first: which explainers and scorers a job has may follow from it.
        differing = [
            f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
            for name in sorted({*there, *here}, key=lambda name: (name != "llm", name))
            if there.get(name) != here.get(name)
        ]
        if differing:
            raise InputError(
                f"{self.folder} holds another run: {', '.join(differing)}; "
                f"{_OTHER} or ask for the same run again"
            )


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def stored_job(folder: Path) -> JobSpec | None:
    """The job of the run that a folder holds; None where it holds none.

    Raises:
        InputError: this version cannot read it.
    """
    path = folder / _JOB
    return _read_job(path) if lexists(path) else None


def _read_job(path: Path) -> JobSpec:
    data = read_file(path) or b""
    try:
        return as_stored(JobSpec.model_validate_json(data))
    except ValidationError as error:
        problem = first_problem(error, whole="the file")
        advice = f"put it back (manifest.json may have it under `job`) or {_OTHER}"
        msg = f"{path} does not hold a job that this version reads: {problem}; {advice}"
        raise InputError(msg) from error


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _is_ours(path: Path) -> bool:
    # What a run that was killed at its very start leaves: neither a run yet nor somebody's file.
    return path.name == _LOCK or path.name.startswith(f".{_JOB}") and path.suffix == TEMP_SUFFIX
