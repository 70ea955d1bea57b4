"""Where a server's unix socket lies: in its folder, or elsewhere where that path is too long."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors

LONGEST = 99
"""Bytes of a path that every system takes for a socket: 103 on macOS, 107 on Linux."""
_NAME = "valkey.sock"


def socket_path(folder: Path) -> Path:
    """A path for the folder's socket, always the same one; its folder is open to nobody else.

    Raises:
        InputError: the place for it belongs to somebody else.
        StorageError: the disk refuses.
    """
    inside = folder / "run" / _NAME
    if len(os.fsencode(inside)) <= LONGEST:
        return _in_private(inside)
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    outside = base / f"autointerp-{os.getuid()}-{digest}" / _NAME
    if len(os.fsencode(outside)) > LONGEST:
        outside = Path("/tmp", outside.parent.name, _NAME)
    return _in_private(outside)


def _in_private(path: Path) -> Path:
    with storage_errors(path.parent, verb="make"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        result = path.parent.lstat()
        if not stat.S_ISDIR(result.st_mode) or result.st_uid != os.getuid():
            msg = f"{path.parent} belongs to somebody else; remove it or choose another data folder"
            raise InputError(msg)
        path.parent.chmod(0o700)
    return path
