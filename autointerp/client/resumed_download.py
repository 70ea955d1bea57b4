"""Downloads that continue where they were interrupted, also in another process."""

from __future__ import annotations

import glob
import re
from pathlib import Path

import httpx

from autointerp.client.http_session import HttpSession
from autointerp.core.errors import InputError, StorageError


def fetch_file(session: HttpSession, path: str, params: dict[str, str], out: Path) -> Path:
    """Downloads the file and returns its path.

    An existing file is replaced when the download is complete.

    Raises:
        InputError: the server refused the request, or `out` is a folder.
        StorageError: the disk refuses.
        UpstreamError: the server could not be reached for too long.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file")
    deadline = session.deadline()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                part = _more(session, path, params, out)
            except httpx.TransportError as error:
                # A large file takes the server minutes, in which it sends nothing.
                if isinstance(error, httpx.ReadTimeout) and session.is_up(path, params):
                    deadline.renew()
                if not deadline.wait():
                    raise session.unreachable(error) from error
            else:
                if part is not None:
                    part.replace(out)
                    return out
    except OSError as error:
        msg = f"could not write {out}: {error.strerror or error}; choose another file"
        raise StorageError(msg) from error


def _more(session: HttpSession, path: str, params: dict[str, str], out: Path) -> Path | None:
    """Downloads what is missing; the complete file, or None where it must start again."""
    part = next(iter(_parts(out)), None)
    headers = {}
    if part is not None:
        headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": f'"{_tag(part)}"'}
    try:
        with session.stream(path, params=params, headers=headers) as response:
            if part is None or response.status_code != httpx.codes.PARTIAL_CONTENT:
                for old in _parts(out):
                    old.unlink()
                part = _part_of(out, response.headers.get("etag", ""))
            with part.open("ab") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
    except InputError:
        if part is None:
            raise
        # The part is longer than the file is now.
        part.unlink(missing_ok=True)
        return None
    return part


def _part_of(out: Path, etag: str) -> Path:
    # A part belongs to one state of the labels, whose tag is in its name.
    return out.with_name(f".{out.name}.{re.sub(r'[^0-9a-zA-Z]', '', etag)[:40]}.part")


def _parts(out: Path) -> list[Path]:
    """Parts of this file from earlier downloads, newest first."""
    result = out.parent.glob(f".{glob.escape(out.name)}.*.part")
    return sorted(result, key=lambda path: path.stat().st_mtime, reverse=True)


def _tag(part: Path) -> str:
    return part.name.removesuffix(".part").rpartition(".")[2]
