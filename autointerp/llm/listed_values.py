"""Lists of values in other forms than the JSON that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from autointerp.llm.json_in_text import json_objects, strict_json

_DECODER = json.JSONDecoder(strict=False)
_MOST_LISTS, _MOST_BROKEN = 500, 20
_NUMBERED = re.compile(
    r"^[ \t>|*•-]*(?:[^\W\d_]{1,20}[ \t]+)?[*_(\[]*(?P<number>\d{1,4})[*_)\]]*[ \t]*"
    r"(?:[.:：)|=\t]|->|→|[-–—](?=\s))[ \t*_]*(?P<value>\S(?:[^\n]*[^\n \t|*_.,;])?)[ \t|*_.,;]*$",
    re.MULTILINE,
)
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+(?P<value>(?:[^\n]*[^\n \t])?)[ \t]*$", re.MULTILINE)


def as_list(value: object) -> list[object] | None:
    """The list that a value is or that it holds; None for any other value.

    An object with numbers in order for names holds their values, one with a single list that; a
    text holds the list that it writes.
    """
    if isinstance(value, str):
        value = _written(value)
    if isinstance(value, dict):
        numbers = [int(n[0]) for name in value if (n := _only_number(name))]
        if len(numbers) == len(value) and _is_counted(numbers):
            return list(value.values())
        lists = [one for one in value.values() if isinstance(one, list)]
        value = lists[0] if len(lists) == 1 else None
    return value if isinstance(value, list) else None


def _only_number(name: object) -> list[str] | None:
    numbers = re.findall(r"\d{1,9}", str(name), re.ASCII)
    return numbers if len(numbers) == 1 else None


def _is_counted(numbers: list[int]) -> bool:
    """Whether these count something, from 1 on or from 0 on."""
    return (
        bool(numbers)
        and numbers[0] in (0, 1)
        and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    )


def words_alone(text: str, n: int, words: Collection[str]) -> list[object] | None:
    """The n of these words that nothing but their numbers stands beside, in a text or its end."""
    if "{" in text or text.count("[") != text.count("]"):
        # Half a list is none.
        return None
    for part in (text, text.strip().rpartition("\n\n")[2], text.rpartition(":")[2]):
        said = re.findall(r"[^\W_]+", part.lower())
        numbers = [one for one in said if one.isdecimal()]
        given = [one for one in said if one in words]
        is_counted = not numbers or (
            said[::2] == numbers and _is_counted([int(one) for one in numbers])
        )
        if len(given) == n and len(given) + len(numbers) == len(said) and is_counted:
            return None if re.search(r"[/?？]", part) else list(given)
    return None


def bare_list(text: str, n: int) -> list[object] | None:
    """The list of n items that a text gives without the name of what it lists; None for none.

    It is the last in brackets, the last object with the numbers from 1 on for names, else lines
    with these numbers in front, such as those of a table, else lines with bullets.
    """
    values = _of_objects(text, n)
    if values is not None:
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


def _of_objects(text: str, n: int) -> list[object] | None:
    """N objects, or the list of n that the last object that holds one does."""
    objects = [one.value for one in json_objects(text)]
    lists = [values for one in objects if (values := as_list(one)) is not None]
    if len(objects) == n > 1 and not lists:
        return list(objects)
    fitting = [values for values in lists if len(values) == n]
    return fitting[-1] if fitting else None


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
