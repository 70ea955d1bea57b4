"""Lists of values in other forms than the JSON that was asked for."""

from __future__ import annotations

import json
import re

from autointerp.llm.json_in_text import json_objects, strict_json

_DECODER = json.JSONDecoder(strict=False)
_MOST_LISTS, _MOST_BROKEN = 500, 20
_NUMBERED = re.compile(
    r"^[ \t>|*•-]*(?:[^\W\d_]{1,20}[ \t]+)?[*_(\[]*(?P<number>\d{1,4})[*_)\]]*[ \t]*"
    r"(?:[.:：)|=\t]|->|→|[-–—](?=\s))[ \t*_]*(?P<value>\S[^\n]*?)[ \t|*_.,;]*$",
    re.MULTILINE,
)
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+(?P<value>[^\n]*?)[ \t]*$", re.MULTILINE)


def as_list(value: object) -> list[object] | None:
    """The list that a value is or that it holds; None for any other value.

    An object with numbers for names holds their values, one with a single list that; a text holds
    the list that it writes.
    """
    if isinstance(value, str):
        value = _written(value)
    if isinstance(value, dict):
        names = [re.sub(r"\D", "", str(name)) for name in value]
        if names and names == [str(i) for i in range(1, len(names) + 1)]:
            return list(value.values())
        lists = [one for one in value.values() if isinstance(one, list)]
        value = lists[0] if len(lists) == 1 else None
    return value if isinstance(value, list) else None


def bare_list(text: str, n: int) -> list[object] | None:
    """The list of n items that a text gives without the name of what it lists; None for none.

    It is the last in brackets, the last object with the numbers from 1 on for names, else lines
    with these numbers in front, such as those of a table, else lines with bullets.
    """
    for one in reversed(json_objects(text)):
        values = as_list(one.value)
        if values is not None and len(values) == n:
            return values
    arrays, rest = _arrays(strict_json(text))
    if "{" in rest:
        # Half an object holds no list.
        return None
    if len(arrays) == n > 1 and not any(isinstance(one, list) for row in arrays for one in row):
        return list(arrays)
    found = [value for value in arrays if len(value) == n]
    if found:
        return found[-1]
    lines = list(_NUMBERED.finditer(text))
    numbers = [int(line["number"]) for line in lines]
    if numbers == list(range(1, n + 1)):
        return [_item(line["value"]) for line in lines]
    bullets = list(_BULLET.finditer(text))
    return [_item(line["value"]) for line in bullets] if len(bullets) == n else None


def _arrays(text: str) -> tuple[list[list[object]], str]:
    """The outermost lists in brackets, in order, and what stands around them and objects."""
    for one in json_objects(text):
        if not re.search(r"\[[^\]]*\Z", text[: one.start]):
            text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    result: list[list[object]] = []
    rest, begins, at = [], 0, text.find("[")
    n_broken = 0
    while at >= 0 and len(result) < _MOST_LISTS and n_broken < _MOST_BROKEN:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end, n_broken = at + 1, n_broken + 1
        else:
            result.append(value)
            rest.append(text[begins:at])
            begins = end
        at = text.find("[", end)
    return result, "".join([*rest, text[begins:]])


def _written(text: str) -> object:
    """What a text writes: JSON, or values between commas; itself where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        parts = [part.strip() for part in text.split(",")]
        is_list = len(parts) > 1 and all(re.fullmatch(r"-?[\w.]+", part) for part in parts)
        return [_item(part) for part in parts] if is_list else text


def _item(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
