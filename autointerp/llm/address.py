"""Addresses of endpoints: what is one, how it may be shown, whether it is this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from autointerp.core.errors import InputError


def read_address(base_url: str) -> tuple[str, str]:
    """Host, and the address as it may be shown: without user, password and query.

    Raises:
        InputError: it is not an http or https address with a host.
    """
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        msg = (
            "the address of an LLM must look like http://127.0.0.1:8000/v1, "
            f"found {base_url.rpartition('@')[2]!r}; set AUTOINTERP_LLM_BASE_URL"
        )
        raise InputError(msg)
    shown = f"[{host}]" if ":" in host else host
    return host, f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or number."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
