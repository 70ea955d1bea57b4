"""Large files of the service, in a folder or an object store: any place that fsspec supports."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from autointerp.core.addresses import ENCODE, HIDDEN, place_of, shown_address, without_secrets
from autointerp.core.errors import AutointerpError, InputError, StorageError, UpstreamError
from autointerp.core.files import TEMP_SUFFIX, open_file, replacing, set_aside, storage_errors

# In these a file appears once its last byte has arrived, and renaming is copying.
_WHOLE_BY_ITSELF = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci"}
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}
# Callers of the API see what a store said, but not its address.
_ADDRESS = re.compile(r"\"?[a-z][a-z0-9+.-]*://[^\s\"]+\"?")


class Artifacts:
    """Files by name, ``jobs/job_1/plan.json``; a file is whole or not there.

    Args:
        url: a folder, or ``s3://bucket/folder`` and the like. Credentials come from where the
            library of that store looks for them.
        cache: folder for copies of remote files; needed by `fetch` where the place is remote.

    Raises:
        InputError: the kind of place is unknown, or its library is not installed.
    """

    def __init__(self, url: str, *, cache: Path | None = None) -> None:
        self.where = place_of(url).rstrip("/")
        self._cache = cache
        self._url = url
        kind = url.partition("://")[0]
        if kind in _WHOLE_BY_ITSELF and self.where != shown_address(url).rstrip("/"):
            msg = f"{self.where}: give keys of a store in its own variables, not in its address"
            raise InputError(msg)
        try:
            self._opened, root = self._open()
        except OSError as error:
            cause = without_secrets(str(error), url)
            msg = f"{self.where} cannot be reached ({cause}); check AUTOINTERP_ARTIFACTS"
            raise UpstreamError(msg, retryable=True) from None
        except (ImportError, ValueError) as error:
            advice = f"run `pip install {_PACKAGES[kind]}`" if kind in _PACKAGES else "use a folder"
            cause = ENCODE if _is_cut(self.where) else without_secrets(str(error), url)
            raise InputError(f"cannot store artifacts at {self.where}: {cause}; {advice}") from None
        self._pid = os.getpid()
        self._root = root.rstrip("/")
        self._local = Path(root) if isinstance(self._opened, LocalFileSystem) else None
        protocols = self._opened.protocol
        self._protocols = {protocols} if isinstance(protocols, str) else set(protocols)

    def _open(self) -> tuple[Any, str]:
        # With cached listings, what others put or deleted since would not be seen; a cached
        # instance would use the environment of when it was made.
        fs, root = fsspec.core.url_to_fs(
            self._url, use_listings_cache=False, skip_instance_cache=True
        )
        return fs, root

    @property
    def _fs(self) -> Any:
        """The file system; opened anew in a child process, where its threads do not run."""
        if os.getpid() != self._pid:
            self._opened, _ = self._open()
            self._pid = os.getpid()
        return self._opened

    @property
    def is_local(self) -> bool:
        """Whether they are files of this machine."""
        return self._local is not None

    def put(self, name: str, local: Path) -> None:
        """Stores a copy of a local file."""
        with self._replacing(name) as there:
            self._fs.put_file(str(local), there)

    def put_bytes(self, name: str, data: bytes) -> None:
        """Stores bytes as a file."""
        with self._replacing(name) as there:
            self._fs.pipe_file(there, data)

    def fetch(self, name: str) -> Path:
        """A local file with the artifact's bytes: itself, or a copy in the cache.

        Raises:
            StorageError: it is not there.
        """
        if self._local is not None:
            path = self._local / _checked(name)
            if not path.is_file():
                raise self._missing(name)
            return path
        with self._errors("read", name):
            there = self._place(name)
            if not self._is_file(there):
                raise self._missing(name)
            # A file that was replaced has another mark, and so another copy.
            mark = hashlib.sha256(f"{there} {self._fs.ukey(there)}".encode()).hexdigest()[:24]
        copy = self._cached(mark, name)
        if not copy.is_file():
            with replacing(copy, durable=False) as temporary, self._errors("read", name):
                self._fs.get_file(there, str(temporary))
        return copy

    def get_bytes(self, name: str, first: int = 0, end: int | None = None) -> bytes | None:
        """The file's bytes, or those from `first` to `end`; None where it is not there.

        A negative `first`, which has no `end`, is for so many bytes at the file's end.
        """
        with self._errors("read", name):
            try:
                if self._local is not None:
                    with os.fdopen(open_file(self._local / _checked(name)), "rb") as file:
                        return _bytes_of(file, first, end)
                start = first if first or end is not None else None
                return cast("bytes", self._fs.cat_file(self._place(name), start=start, end=end))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        with self._errors("look for", name):
            return self._is_file(self._place(name))

    def names(self, prefix: str = "") -> list[str]:
        """Names of the files below a folder, sorted."""
        if self._local is not None:
            return sorted(_files_below(self._local, _checked(prefix) if prefix else ""))
        with self._errors("list", prefix):
            below = f"{self._root}/{_checked(prefix)}" if prefix else self._root
            self._fs.invalidate_cache()
            result = [path.removeprefix(f"{self._root}/") for path in self._fs.find(below)]
        return sorted(name for name in result if not name.endswith(TEMP_SUFFIX))

    def delete(self, name: str) -> None:
        """Deletes the file where it is there."""
        with self._errors("delete", name):
            if self._is_file(self._place(name)):
                self._fs.rm_file(self._place(name))

    def _is_file(self, there: str) -> bool:
        # fsspec's own `isfile` is false as well where the store could not be asked.
        try:
            return bool(self._fs.info(there)["type"] == "file")
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _place(self, name: str) -> str:
        return f"{self._root}/{_checked(name)}"

    def _cached(self, mark: str, name: str) -> Path:
        if self._cache is None:
            raise InputError(f"no cache folder was given for a copy of {self.where}/{name}")
        return self._cache / "artifacts" / mark / PurePosixPath(name).name

    @contextmanager
    def _replacing(self, name: str) -> Iterator[str]:
        if self._local is not None:
            place = self._local / _checked(name)
            with storage_errors(place):
                set_aside(place)
            with replacing(place) as local:
                yield str(local)
            return
        there = self._place(name)
        with self._errors("write", name):
            if self._protocols & _WHOLE_BY_ITSELF:
                yield there
                return
            self._fs.makedirs(there.rpartition("/")[0], exist_ok=True)
            temporary = f"{there}.{secrets.token_hex(4)}{TEMP_SUFFIX}"
            try:
                yield temporary
                self._fs.mv(temporary, there)
            finally:
                if self._fs.exists(temporary):
                    self._fs.rm_file(temporary)

    @contextmanager
    def _errors(self, verb: str, name: str) -> Iterator[None]:
        if self._local is not None:
            with storage_errors(self._local / name, verb=verb):
                yield
            return
        try:
            yield
        except Exception as error:  # the stores' libraries have no common class of errors
            if not _is_of_a_store(error):
                raise
            text = without_secrets(" ".join(str(error).split()), self._url)
            message = _ADDRESS.sub("its address", text)[:200]
            message = message or type(error).__name__
            msg = f"could not {verb} {self.where}/{name}: {message}; check AUTOINTERP_ARTIFACTS"
            lasts = isinstance(error, PermissionError | FileNotFoundError)
            lasts = lasts or "Credential" in type(error).__name__
            raise UpstreamError(msg, retryable=not lasts) from error

    def _missing(self, name: str) -> StorageError:
        return StorageError(f"{self.where}/{name} is not there; collect or label again to make it")


def _is_cut(where: str) -> bool:
    """Whether nothing of the address could be shown for its password."""
    return where.endswith(f"://{HIDDEN}")


def _is_of_a_store(error: Exception) -> bool:
    """Whether a store or its library raised it, and not our own code."""
    ours = isinstance(error, AutointerpError) or type(error).__module__ == "builtins"
    return isinstance(error, OSError) or not ours


def _files_below(root: Path, prefix: str) -> Iterator[str]:
    """Names of the files below a local folder; fsspec would look at each of them."""

    def refuse(error: OSError) -> None:
        # A folder that is gone has no files; one that may not be read must not be skipped.
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    with storage_errors(root / prefix, verb="list"):
        for folder, _, files in os.walk(root / prefix, onerror=refuse, followlinks=True):
            below = PurePath(folder).relative_to(root).as_posix()
            parent = "" if below == "." else f"{below}/"
            yield from (f"{parent}{name}" for name in files if not name.endswith(TEMP_SUFFIX))


def _bytes_of(file: BinaryIO, first: int, end: int | None) -> bytes:
    size = os.fstat(file.fileno()).st_size
    first, end, _ = slice(first, end).indices(size)
    file.seek(first)
    return file.read(max(0, end - first))


def _checked(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} is not a valid artifact name: write a relative path without ..")
    return str(path)
