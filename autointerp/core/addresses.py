"""Addresses that may hold a password: how they are shown, and which characters it needs encoded."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

HIDDEN = "***"
ENCODE = (
    "percent-encode the user name and the password in it: # is %23, / is %2F, ? is %3F, @ is %40, "
    "[ is %5B, % is %25"
)
NO_PROXY = (
    "a proxy that the environment names (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) cannot be used: "
    f"{ENCODE}; write for example http://127.0.0.1:3128"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_AROUND = " \t\r\n\"'`<>,;&()\\*|\u201c\u201d\u2018\u2019\u00a0\u200b\ufeff。,"
_HTTP = re.compile(r"(?:(https?)(?::/{1,2}|//))+(?=[\w\[])", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'`<>\u201c\u201d\u2018\u2019|\\]+")
_METHOD = re.compile(
    r"/+(?:chat/+completions(?:/+stream)?|completions"
    r"|(?<=/v\d/)(?:chat|models|responses|messages|embeddings|docs|redoc|swagger|health|openapi\.json))$"
)
"""The end of what manuals give for one method, behind a version where it could be a name."""
_BEFORE = r"(?=[^\s'\"<>]*@|[^\s'\"<>/?#\[]*:[^\s'\"<>/?#\d])"
_WITH_PASSWORD = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://(?!USER:PASSWORD@){_BEFORE}[^\s'\"<>]+")
"""An address with something before its host, or cut before that came to its end."""
_AUTHORITY = re.compile(r"[^/?#]*")
_BARE = re.compile(
    r"(?P<host>\[[0-9a-f:]+\]|(?:[0-9]{1,3}\.){3}[0-9]{1,3}|localhost"
    r"|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?=[:/])|[a-z][a-z0-9_-]*(?=:))"
    r"(?::[0-9]{2,5})?(?:[/?].*)?",
    re.IGNORECASE,
)
"""An address without scheme, user and password; the name of a model does not match."""
_PRIVATE = (".localhost", ".local", ".lan", ".internal")
_LOOSE = re.compile(r"(?!json:)([^/]*@|[^/]*:.*@|\S+\s.*:)", re.DOTALL)
"""What may be a user, a password or a command without an address; ``json:`` is left out."""
_CERTIFICATES = frozenset({"required", "optional", "none"})
_HARMLESS = frozenset({"api-version", "db", "ssl_cert_reqs", "ssl_check_hostname", "timeout"})
"""Parameters of a query whose values are shown; others may be keys."""


def shown_address(url: str) -> str:
    """The address without user name, password, fragment and unknown values of its query.

    Where it cannot be told what belongs to the password, only the scheme is left.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return HIDDEN if _LOOSE.match(url) else url
    if not _SCHEME.fullmatch(scheme):
        return HIDDEN
    parts = _split(url)
    if parts is None or _is_cut(rest) or not _has_port(parts):
        return f"{scheme}://{HIDDEN}"
    _, at, host = parts.netloc.rpartition("@")
    query = "&".join(map(_shown_parameter, parts.query.split("&"))) if parts.query else ""
    result = f"{scheme}://{f'{HIDDEN}@' if at else ''}{host}{parts.path}"
    return result + (f"?{query}" if query else "") + (f"#{HIDDEN}" if parts.fragment else "")


def base_address(url: str) -> str:
    """The base URL of an LLM in an address as people paste it.

    Blanks and quotes around it, what stands around it in a setting or a command, a fragment,
    slashes at its end and the path of one method are left out.
    """
    # What stands before an @ belongs to a password.
    whole = re.sub(r"#[^@]*$", "", _pasted(url.strip(_AROUND)).strip(_AROUND).rstrip(".:"))
    start, mark, query = whole.partition("?")
    start = _METHOD.sub("", start.rstrip("/")).rstrip("/")
    return start + mark + query if query else start


def _pasted(text: str) -> str:
    """The address in a text that may be a setting, a command or a link."""
    text = unquote(text) if re.match(r"https?%3a%2f%2f", text, re.IGNORECASE) else text
    words, found = text.split(), _HTTP.search(text)
    if found is None:
        bare = (one for word in words if _BARE.fullmatch(one := word.strip(_AROUND)))
        return next(bare, text) if len(words) > 1 else text
    before, rest = text[: found.start()], text[found.end() :]
    is_alone = not before and (len(words) == 1 or "@" in words[-1])
    if not is_alone and before and len(words) == 1 and before[-1].isalnum():
        return text
    # Alone it may hold anything, such as a password with a quote in it.
    word = None if is_alone else _WORD.match(rest)
    return f"{found[1].lower()}://{word[0] if word else rest}"


def with_scheme(url: str) -> str:
    """The address of an LLM, which may lack its scheme: http on this machine and private ones.

    Anything else stays as it is.
    """
    match = _BARE.fullmatch(url)
    if match is None:
        return url
    host = match["host"].strip("[]").lower()
    try:
        private = ipaddress.ip_address(host).is_private
    except ValueError:
        private = "." not in host or host.endswith(_PRIVATE)
    return f"{'http' if private else 'https'}://{url}"


def joined_address(base: str, path: str) -> str:
    """The address of a path below a base URL, whose query stays at the end."""
    start, mark, query = base_address(base).partition("?")
    return f"{start}/{path}{mark}{query}"


def place_of(url: str) -> str:
    """The same for a sentence: nothing marks that user and password were left out."""
    return shown_address(url).replace(f"{HIDDEN}@", "")


def shown_addresses(text: str) -> str:
    """A sentence in which no address holds a password, whatever it was given for."""
    return _WITH_PASSWORD.sub(lambda found: shown_address(found[0]), text)


def without_secrets(text: str, url: str) -> str:
    """A text of others about an address, without what `shown_address` leaves out of it."""
    _, mark, rest = url.partition("://")
    before, at, _ = rest.rpartition("@")
    if not mark or not at:
        return text
    whole = unquote(before)
    parts = {part for each in (before, whole) for part in re.split(r"[:/?#@]", each)}
    parts |= {before, whole, before.partition(":")[2], whole.partition(":")[2]}
    # One letter stands in every word.
    return hidden_in(text, (part for part in parts if len(part) > 2))


def credentials_of(url: str) -> set[str]:
    """The password of an address as it stands there, as it is meant, and as Basic sends it.

    Those of three characters and fewer are left out: words hold them.
    """
    authority = _AUTHORITY.match(url.partition("://")[2])
    before = authority[0].rpartition("@")[0] if authority else ""
    whole = unquote(before)
    # A token may stand there alone.
    found = {each.partition(":")[2] or each for each in (before, whole)}
    found.add(b64encode(whole.encode()).decode().rstrip("="))
    return {each for each in found if len(each) > 3}


def hidden_in(text: str, secrets: Iterable[str]) -> str:
    """The text with three asterisks for each secret."""
    # The longest first: a part of it alone would leave the rest.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def stored_address(name: str) -> str:
    """What files hold of an LLM that a job names: its address as it is shown, any other name."""
    url = base_address(name)
    return shown_address(url) if url.startswith(("http://", "https://")) else url


def checked_address(url: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of an address of one of those schemes.

    Raises:
        ValueError: a sentence that follows its name, and shows nothing of it.
    """
    scheme, mark, rest = url.partition("://")
    authority = _AUTHORITY.match(rest)
    if not mark or scheme.lower() not in schemes or authority is None or not authority[0]:
        raise ValueError(f"write for example {example}")
    parts = _split(url)
    if parts is not None and not _is_cut(rest) and _port_too_large(parts):
        raise ValueError(f"the port in it must be 1 to 65535; write for example {example}")
    if parts is None or _is_cut(rest) or not _has_port(parts) or not url.isprintable():
        raise ValueError(f"{ENCODE}; write for example {example}")
    return parts


def check_redis_address(url: str, example: str) -> None:
    """Refuses an address of Redis that its two clients would not read in the same way.

    Raises:
        ValueError: a sentence that follows its name, and shows nothing of it.
    """
    if url.startswith("unix://") and not url.startswith("unix:///"):
        parts = checked_address(url, ("unix",), example)
    elif url.startswith("unix:///"):
        parts = urlsplit(url)
    else:
        parts = checked_address(url, ("redis", "rediss"), example)
    if parts.scheme == "unix" and len(parts.path) < 2:
        raise ValueError(f"write for example {example}")
    if parts.fragment:
        raise ValueError(f"{ENCODE}; write for example {example}")
    # Clients take database 0 for any other path.
    if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise ValueError(f"the database in it must be a number; write for example {example}")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise ValueError("an option in it is given twice; give each once")
    if not {"password", "username"}.isdisjoint(query):
        raise ValueError("write the password before the host, redis://USER:PASSWORD@HOST:PORT/0")
    _check_certificates(query)


def verified_address(url: str) -> str:
    """The address of Redis in which `rediss://` says that certificates are verified.

    Celery takes any certificate where the address says nothing of it.
    """
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in urlsplit(url).query:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def _check_certificates(query: Mapping[str, str]) -> None:
    asked = query.get("ssl_cert_reqs", "required")
    if asked not in _CERTIFICATES:
        raise ValueError("ssl_cert_reqs in it may be required, optional or none")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # Its message may hold the password.
        return None


def _is_cut(rest: str) -> bool:
    """Whether an @ stands behind what looks like the whole of host and password."""
    authority = _AUTHORITY.match(rest)
    end = authority.end() if authority else 0
    return end > 0 and "@" in rest[end:]


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.hostname is not None
    except ValueError:
        return False


def _port_too_large(parts: SplitResult) -> bool:
    host, _, digits = parts.netloc.rpartition("@")[2].rpartition(":")
    size = digits.lstrip("0")
    too_large = len(size) > 5 or int(size or 0) > 65_535 if digits.isdecimal() else False
    return bool(host) and too_large


def _shown_parameter(text: str) -> str:
    name, equals, _ = text.partition("=")
    return text if not equals or name in _HARMLESS else f"{name}={HIDDEN}"
