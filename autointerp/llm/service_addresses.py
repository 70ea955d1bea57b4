"""The address of an endpoint and the headers that are sent there, as users write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import httpx2

from autointerp.core.addresses import checked_address, credentials_of, shown_address
from autointerp.core.errors import InputError

_HEADER = re.compile(r"[A-Za-z0-9-]+")


def headers_of(lines: str, secret: str) -> dict[str, str]:
    """Headers from ``Name: value`` lines, in which ``{key}`` is the API key.

    The key goes as ``Authorization: Bearer`` where no line says otherwise.

    Raises:
        InputError: a line that is not of that form; it is not shown.
    """
    headers = {"Authorization": f"Bearer {secret}"} if secret and "{key}" not in lines else {}
    for line in filter(str.strip, re.split(r"[;\n]", lines)):
        name, colon, value = (part.strip() for part in line.partition(":"))
        value = value.replace("{key}", secret)
        if (
            not colon
            or not _HEADER.fullmatch(name)
            or not (value.isascii() and value.isprintable())
        ):
            raise InputError(
                "AUTOINTERP_LLM_HEADERS must be 'Name: value', several separated by semicolons; "
                "{key} in a value stands for the API key"
            )
        headers[name] = value
    return headers


def secrets_of(base_url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What no message may show of an address and of the headers that are sent to it."""
    words = (value.split()[-1] for value in headers.values() if value.strip())
    # Versions and types stand in headers too.
    plain = re.compile(r"(application|text)/|.*\d{4}-\d\d-\d\d")
    keys = {word for word in words if len(word) > 7 and not plain.match(word)}
    return tuple(keys | credentials_of(base_url))


def read_address(base_url: str) -> tuple[str, str]:
    """Host, and the address as it may be shown: without user, password and query.

    Raises:
        InputError: it is not an http or https address with a host.
    """
    try:
        parts = checked_address(base_url, ("http", "https"), "http://127.0.0.1:8000/v1")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        host, why = None, str(error)
    else:
        why = "it has no host"
    if not host:
        raise InputError(
            "the address of an LLM must look like http://127.0.0.1:8000/v1, "
            f"found {shown_address(base_url)!r}: {why}"
        )
    shown = f"[{host}]" if ":" in host else host
    return host, f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def is_within(there: httpx2.URL, here: httpx2.URL) -> bool:
    """Whether an address is at the same host and port, or behind TLS there."""
    same = (there.scheme, there.port) == (here.scheme, here.port)
    secured = (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)
    return there.host == here.host and there.userinfo == here.userinfo and (same or secured)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or number."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
