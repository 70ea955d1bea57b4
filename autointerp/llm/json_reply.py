"""A JSON object in a reply, whatever the LLM wrote around it."""

from __future__ import annotations

import json
import re

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class UnreadableJsonError(ValueError):
    """What looks like an object is none; the message says why."""


def find_object(text: str) -> dict[str, object] | None:
    """The object from the first ``{`` to the last ``}``, None where no ``{`` is.

    Only the first fenced block is searched if there is one.

    Raises:
        UnreadableJsonError: it is cut off, broken, nested too deeply or holds an endless number.
    """
    fenced = _FENCE.search(text)
    body = fenced[1] if fenced else text
    start, end = body.find("{"), body.rfind("}")
    if start < 0:
        return None
    try:
        found: dict[str, object] = json.loads(body[start : end + 1])
    except (ValueError, RecursionError) as error:
        msg = f"the reply is not JSON: {error}"
        raise UnreadableJsonError(msg) from error
    return found
