from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from autointerp.core.errors import InputError
from autointerp.llm.chat_model import ChatReply, TokenChoice, Usage, ranked


def with_logprobs(
    text: str, choices: Iterable[tuple[str, Mapping[str, float]]], *, model: str = "scripted"
) -> ChatReply:
    """A reply whose chosen tokens carry alternatives; what lies between them is certain.

    Args:
        text: the whole reply.
        choices: in the order of the text, a token of it with the probability of each token that
            could have stood there, itself among them; below 1 in sum is fine. For levels:
            ``with_logprobs("[3, 0]", [("3", {"3": 0.8, "2": 0.2}), ("0", {"0": 1.0})])``.
        model: name of the model that says it answered.

    Raises:
        InputError: a token does not follow in the text, or has no probability itself.
    """
    tokens: list[TokenChoice] = []
    cursor = 0
    for token, probabilities in choices:
        start = text.find(token, cursor)
        if start < 0 or not token:
            raise InputError(f"{token!r} does not follow after position {cursor} of {text!r}")
        if start > cursor:
            tokens.append(_choice(text[cursor:start], {text[cursor:start]: 1.0}))
        tokens.append(_choice(token, probabilities))
        cursor = start + len(token)
    if cursor < len(text):
        tokens.append(_choice(text[cursor:], {text[cursor:]: 1.0}))
    usage = Usage(completion_tokens=len(tokens))
    return ChatReply(text, "stop", tuple(tokens), usage, model)


def _choice(token: str, probabilities: Mapping[str, float]) -> TokenChoice:
    if not probabilities.get(token, 0.0) > 0:
        msg = f"the token {token!r} itself needs a probability above 0, given were {probabilities}"
        raise InputError(msg)
    logprobs = {name: math.log(p) for name, p in probabilities.items() if p > 0}
    return TokenChoice(token, logprobs[token], ranked(logprobs.items()))
