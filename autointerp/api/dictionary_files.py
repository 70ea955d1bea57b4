"""The feature dictionary as files to download: made once for each state of the labels."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autointerp.api.dictionary_formats import FORMATS, LabelRows
from autointerp.api.label_indexes import LabelIndexes
from autointerp.core import VERSION
from autointerp.core.errors import AutointerpError, StorageError
from autointerp.core.files import storage_errors
from autointerp.store.search.columns import Filters

_LOGGER = logging.getLogger("autointerp.api")
_FILES_EACH = 2
_STALE_S = 86_400
_NAME = re.compile(r"[0-9a-f]{12}-[a-z]+-[0-9a-f]{32}")


@dataclass(slots=True)
class Download:
    """A file that is whole, or that a thread still writes."""

    etag: str
    """Of this try alone where it may leave something out that another try has."""
    path: Path
    """Where it is now; it may be read while it grows."""
    done: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is written."""
    error: Exception | None = None
    is_partial: bool = False
    """Whether labels or records are left out, so that it is made again for the next reader."""

    def open(self) -> IO[bytes]:
        """The file as it grows; what replaces its name later does not matter."""
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            # It was given its last name just now, or is gone because it could not be written.
            self.done.wait(1)
        self.check()
        with storage_errors(self.path, verb="read"):
            return self.path.open("rb")

    def check(self) -> None:
        """Raises what ended the writing early."""
        if self.error is not None:
            raise self.error


class DictionaryFiles:
    """Downloads by what they hold; one thread makes each."""

    def __init__(self, folder: Path, indexes: LabelIndexes) -> None:
        self._folder = folder
        self._indexes = indexes
        self._lock = threading.Lock()
        self._made: dict[str, Download] = {}
        self._digested: tuple[Sequence[bytes] | None, str] = (None, "")

    def etags(self, model: str, fmt: str, filters: Filters | None = None) -> tuple[str, ...]:
        """The tags of the whole file of the labels of now; a download has the first."""
        digest = self._digest(self._source(model, filters), fmt)
        known = self._made.get(_name(model, fmt, digest))
        is_used = known is not None and known.error is None and not known.is_partial
        return tuple(dict.fromkeys((*([known.etag] if known and is_used else ()), f'"{digest}"')))

    def download(self, model: str, fmt: str, filters: Filters | None = None) -> Download:
        """The download; it is started, and grows, where there is none yet.

        Filters are for formats that are made of rows alone.

        Raises:
            Problem: 404 where the model has no labels.
            StorageError: the disk refuses.
        """
        source = self._source(model, filters)
        digest = self._digest(source, fmt)
        name = _name(model, fmt, digest)
        with self._lock:
            known = self._made.get(name)
            if known is not None and known.error is None and known.path.is_file():
                if not known.is_partial:
                    return known
                known.path.unlink(missing_ok=True)
            result = self._start(name, digest, fmt, source)
            self._made[name] = result
            return result

    def _source(self, model: str, filters: Filters | None) -> LabelRows:
        index = self._indexes.of(model)
        rows, change = index.rows(filters)
        return LabelRows(model, rows, change, self._indexes.store(model))

    def _digest(self, source: LabelRows, fmt: str) -> str:
        of, rows = self._digested
        if of is not source.rows:
            digest = hashlib.blake2b(digest_size=16)
            for row in source.rows:
                digest.update(row)
            rows = digest.hexdigest()
            self._digested = (source.rows, rows)
        # Labels and records may change where no row does.
        change = source.change if FORMATS[fmt].reads_store else 0
        message = f"{VERSION}\n{fmt}\n{FORMATS[fmt].version}\n{change}\n{rows}"
        return hashlib.sha256(message.encode()).hexdigest()[:32]

    def _start(self, name: str, digest: str, fmt: str, source: LabelRows) -> Download:
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        final = self._folder / name
        if final.is_file():
            result = Download(f'"{digest}"', final)
            result.done.set()
            return result
        self._tidy(name)
        growing = self._folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.part"
        with storage_errors(growing):
            growing.touch(mode=0o600)
        form = FORMATS[fmt]
        # Sent before it is known whether anything is left out.
        attempt = secrets.token_hex(4) if form.reads_store else ""
        result = Download(f'"{digest}{attempt}"', growing)
        thread = threading.Thread(
            target=_write,
            args=(result, final, source, form.write),
            name=f"dictionary-{fmt}",
            daemon=True,
        )
        thread.start()
        return result

    def _tidy(self, name: str) -> None:
        """Removes older files of the same model and format, and what killed processes left."""
        prefix = name.rsplit("-", 1)[0]
        entries = [(path.stat().st_mtime, path) for path in _files(self._folder)]
        same = sorted((e for e in entries if e[1].name.startswith(prefix)), reverse=True)
        stale = [e for e in entries if time.time() - e[0] > _STALE_S]
        for _, path in {*same[_FILES_EACH - 1 :], *stale}:
            path.unlink(missing_ok=True)
        self._made = {n: d for n, d in self._made.items() if d.path.is_file()}


def _name(model: str, fmt: str, digest: str) -> str:
    return f"{hashlib.sha256(model.encode()).hexdigest()[:12]}-{fmt}-{digest}"


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if _NAME.match(path.name) or (path.name.startswith(".") and path.suffix == ".part"):
            yield path


def _write(
    download: Download,
    final: Path,
    source: LabelRows,
    write: Callable[[LabelRows, IO[bytes]], None],
) -> None:
    growing = download.path
    try:
        with storage_errors(growing), growing.open("wb") as file:
            write(source, file)
        download.is_partial = bool(source.left_out)
        if not download.is_partial:
            with storage_errors(final):
                growing.rename(final)
            download.path = final
    except AutointerpError as error:
        download.error = error
    except Exception as error:  # outermost frame of the thread: its readers must learn of it
        _LOGGER.exception("the dictionary of %s could not be written", source.model)
        download.error = StorageError(
            f"the dictionary could not be written: {type(error).__name__}"
        )
    finally:
        if download.error is not None:
            growing.unlink(missing_ok=True)
        download.done.set()
