"""Downloads that go on where they were cut, also in another process."""

from __future__ import annotations

import glob
import re
from pathlib import Path

import httpx

from autointerp.client.exchange import Exchange
from autointerp.core.errors import InputError, StorageError


def fetch_file(exchange: Exchange, path: str, params: dict[str, str], out: Path) -> Path:
    """The file, whole.

    Args:
        exchange: with the server.
        path: of what is downloaded.
        params: of the query.
        out: where it goes; what lies there is replaced when the download is whole.

    Raises:
        InputError: the server refused, or `out` is a folder.
        StorageError: the disk refuses.
        UpstreamError: the server was away for too long.
    """
    if out.is_dir():
        msg = f"{out} is a folder; give the name of a file"
        raise InputError(msg)
    deadline = exchange.deadline()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                part = _more(exchange, path, params, out)
            except httpx.TransportError as error:
                if not deadline.wait():
                    raise exchange.unreachable(error) from error
            else:
                if part is not None:
                    part.replace(out)
                    return out
    except OSError as error:
        msg = f"could not write {out}: {error.strerror or error}; choose another place"
        raise StorageError(msg) from error


def _more(exchange: Exchange, path: str, params: dict[str, str], out: Path) -> Path | None:
    """Downloads what is missing; the file when it is whole, None where it must begin again."""
    part = next(iter(_parts(out)), None)
    headers = {}
    if part is not None:
        headers = {"Range": f"bytes={part.stat().st_size}-", "If-Range": f'"{_tag(part)}"'}
    try:
        with exchange.stream(path, params=params, headers=headers) as response:
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
        # Nothing comes after what is there already.
        part.unlink(missing_ok=True)
        return None
    return part


def _part_of(out: Path, etag: str) -> Path:
    # A part belongs to one state of the labels, which its name says.
    return out.with_name(f".{out.name}.{re.sub(r'[^0-9a-zA-Z]', '', etag)[:40]}.part")


def _parts(out: Path) -> list[Path]:
    """Parts of this file that were left, the one worked on last first."""
    found = out.parent.glob(f".{glob.escape(out.name)}.*.part")
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _tag(part: Path) -> str:
    return part.name.removesuffix(".part").rpartition(".")[2]
