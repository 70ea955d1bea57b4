"""The prompt that asks for new descriptions of failing senses, and what its answer holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.core.characters import whole_characters
from autointerp.core.config import ExplainConfig
from autointerp.core.explanations import Explanation
from autointerp.core.records import ExplainSet, rectify, to_levels
from autointerp.core.sense_types import ReceiptKind
from autointerp.core.text import quoted
from autointerp.core.token_bars import marked
from autointerp.explainers.excerpts import Extent, Turns
from autointerp.explainers.parse import TooManyWordsError, over_long, parse_phrase
from autointerp.explainers.sense_inputs import render_marked
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.chat_model import JsonSchema
from autointerp.llm.reply_formats import array_schema, object_schema
from autointerp.pipeline.receipts.receipts_result import ReceiptsResult, WrittenReceipt, senses_of
from autointerp.templates import Template, load_template

_MAX_WORDS = ExplainConfig().max_words
_TOKENS_A_DESCRIPTION = 60
_MOST_OF_KIND, _FEWEST_OF_KIND = 4, 2
_SHOWN = Extent(4, 8, 3)
_KINDS = (ReceiptKind.POSITIVE, ReceiptKind.NEAR_MISS)


def revising_template() -> Template:
    """The prompt itself."""
    return load_template("revise_senses", "v3")


def revising_turns(explanation: Explanation, result: ReceiptsResult, records: ExplainSet) -> Turns:
    """The prompt: failing senses with their texts, the strongest exemplars, the other senses."""
    senses = senses_of(explanation)
    blocks = []
    n_of_kind = _MOST_OF_KIND if len(result.failing) == 1 else _FEWEST_OF_KIND
    for number, failed in enumerate(result.failing, 1):
        own = [one for one in result.written if one.receipt.sense == failed.sense]
        # Those that speak against it first.
        own.sort(key=lambda one: bool(one.receipt.as_expected))
        shown = [one for kind in _KINDS for one in _of_kind(own, kind)[:n_of_kind]]
        texts = "\n".join(_tried(one, records) for one in shown)
        blocks.append(f"{number}. {quoted(senses[failed.sense].description)}\n{texts}")
    failing = {failed.sense for failed in result.failing}
    others = [quoted(sense.description) for i, sense in enumerate(senses) if i not in failing]
    exemplars = records.activating[: _SHOWN.n_records]
    strongest = render_marked(exemplars, records.side, records.peak, _SHOWN)
    return revising_template().render(
        failed="\n\n".join(blocks),
        strongest=f"Strongest in ordinary text:\n{strongest}",
        staying="\n".join(["These did not fail, and stay:", *(others or ["(none)"])]),
        max_words=str(_MAX_WORDS),
        n=str(len(blocks)),
    )


def revising_tokens(n: int) -> int:
    """Room for a reply with so many descriptions."""
    return (n + 1) * _TOKENS_A_DESCRIPTION


def revising_schema(n: int) -> JsonSchema:
    """The schema of the reply."""
    fields = {"description": {"type": "string"}, "drop": {"type": "boolean"}}
    item = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return object_schema("senses", {"descriptions": array_schema(item, most=n)})


@dataclass(frozen=True, slots=True)
class Revisions:
    """What an answer says of the senses asked about."""

    descriptions: tuple[str | None, ...]
    """A new one for each, None where none can be used."""
    dropped: frozenset[int] = frozenset()
    """0-based places of those that no description fits."""
    too_long: str | None = None
    """Which descriptions have too many words; None where none has."""
    note: str | None = None
    """Why it was not asked again about those, if it was not."""

    def filled_by(self, later: Revisions) -> Revisions:
        """What a later answer says; where it says nothing, what this one did."""
        lines = tuple(
            new if new is not None or place in later.dropped else old
            for place, (old, new) in enumerate(
                zip(self.descriptions, later.descriptions, strict=True)
            )
        )
        again = {place for place in self.dropped if lines[place] is None}
        return Revisions(lines, later.dropped | again, later.too_long)


def read_revisions(answer: str, n: int) -> Revisions:
    """A new description for each of the senses asked about, or that it is to be dropped.

    Raises:
        NoAnswerError: there is no list of them.
    """
    what = 'a list under "descriptions"'
    value = find_object(answer, "descriptions", what=what, kind=list).value["descriptions"]
    if not isinstance(value, list):
        raise NoAnswerError(f"the reply is not JSON with {what}: {value!r:.40}")
    lines: list[str | None] = [None] * n
    n_words: dict[int, int] = {}
    dropped = {i for i, given in enumerate(value[:n]) if _is_drop(given)}
    for i, given in enumerate(value[:n]):
        try:
            lines[i] = None if i in dropped else _description(given)
        except TooManyWordsError as error:
            n_words[i + 1] = error.n_words
    too_long = over_long(n_words, _MAX_WORDS) if n_words else None
    return Revisions(tuple(lines), frozenset(dropped), too_long)


def _of_kind(written: Sequence[WrittenReceipt], kind: ReceiptKind) -> list[WrittenReceipt]:
    return [one for one in written if one.receipt.kind is kind]


def _is_drop(given: object) -> bool:
    return isinstance(given, dict) and given.get("drop") is True


def _description(given: object) -> str | None:
    """The usable one.

    Raises:
        TooManyWordsError: it is too long.
    """
    text = given.get("description") if isinstance(given, dict) else given
    if not isinstance(text, str):
        return None
    try:
        return parse_phrase(text, max_words=_MAX_WORDS)
    except TooManyWordsError:
        raise
    except NoAnswerError:
        return None


def _tried(one: WrittenReceipt, records: ExplainSet) -> str:
    """``should be silent, level 7: "the end «of:7» the road"``."""
    probed = one.probed
    tokens, values = whole_characters(probed.tokens, rectify(probed.activations, records.side))
    levels = to_levels(values, peak=records.peak)
    expected = "should fire" if one.receipt.expected else "should be silent"
    return f"{expected}, level {max(levels)}: {marked(tokens, levels)}"
