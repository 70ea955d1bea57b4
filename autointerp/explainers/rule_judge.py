"""An LLM says which single rule covers a unit's strongest firings, and which of them it covers."""

from __future__ import annotations

from typing import Any

from autointerp.core.blind_study import LLM_JUDGE, Answer, Firing, ItemVerdict, StudyItem
from autointerp.core.text import plain_text
from autointerp.explainers.marked_tokens import LEFT, RIGHT, escaped, mark
from autointerp.explainers.prompting import ask
from autointerp.llm import ChatModel
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.reply_formats import array_schema, chat_request, object_schema
from autointerp.templates import load_template

_PROMPT, _VERSION = "judge_single_rule", "v2"
_MAX_TOKENS = 300
_MOST_CHARS = 300


class RuleJudge:
    """Judges items by an LLM, which sees the firings and nothing else."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._template = load_template(_PROMPT, _VERSION)
        # What another prompt made of an item is the verdict of another judge.
        self.name = f"{LLM_JUDGE}{model.name} (prompt {_VERSION})"

    async def verdict(self, item: StudyItem) -> ItemVerdict:
        """What the LLM says, yes where its rule covers enough of the firings.

        Raises:
            UnansweredError: neither of two replies could be read, or the request was refused.
            UpstreamError: the LLM could not be used.
        """
        n = len(item.firings)
        texts = "\n".join(f"{i}: {_marked(f)}" for i, f in enumerate(item.firings, 1))
        turns = self._template.render(left=LEFT, right=RIGHT, texts=texts, n=str(n))
        numbers = array_schema({"type": "integer", "minimum": 1, "maximum": n}, most=n)
        schema = object_schema(_PROMPT, {"rule": {"type": "string"}, "covered": numbers})
        request = chat_request(self._model.features, turns, max_tokens=_MAX_TOKENS, schema=schema)
        rule, covered = await ask(self._model, request, lambda text: _read(text, n))
        is_rule = rule.lower().strip(" .\"'") not in {"", "none", "no rule"}
        n_covered = len(covered) if is_rule else 0
        answer = Answer.YES if n_covered >= item.n_needed else Answer.NO
        return ItemVerdict(self.name, item.id, answer, rule if is_rule else None, n_covered)


def _read(text: str, n: int) -> tuple[str, set[int]]:
    found: Any = find_object(text, "rule", "covered", what="the rule and the texts it covers")
    rule, covered = found.value["rule"], found.value["covered"]
    if not isinstance(rule, str):
        raise NoAnswerError("`rule` is not a text")
    if not isinstance(covered, list) or not all(type(one) is int for one in covered):
        raise NoAnswerError("`covered` is not a list of numbers of texts")
    if any(not 1 <= one <= n for one in covered):
        raise NoAnswerError(f"`covered` names a text that is not among 1 to {n}")
    return plain_text(rule)[:_MOST_CHARS], set(covered)


def _marked(firing: Firing) -> str:
    before, after = firing.tokens[: firing.peak], firing.tokens[firing.peak + 1 :]
    token = firing.tokens[firing.peak]
    parts = escaped("".join(before)), mark(escaped(token)), escaped("".join(after))
    return f'"{"".join(parts)}"'
