"""The prompt that asks for new descriptions of failing senses, and what its answer holds."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.config import ExplainConfig
from autointerp.core.explanations import Explanation
from autointerp.core.records import ExplainSet, rectify, to_levels
from autointerp.core.senses import ReceiptKind
from autointerp.core.text import quoted
from autointerp.explainers.excerpts import Extent, Turns, render_pairs
from autointerp.explainers.parse import parse_explanation
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.chat_model import JsonSchema
from autointerp.llm.reply_formats import array_schema, object_schema
from autointerp.pipeline.receipts.receipts_result import ReceiptsResult, WrittenReceipt, senses_of
from autointerp.templates import Template, load_template

_MAX_WORDS = ExplainConfig().max_words
_TOKENS_A_DESCRIPTION = 60
_MOST_OF_KIND, _FEWEST_OF_KIND = 4, 2
_SHOWN, _N_ACTIVE = Extent(4, 8, 3), 3
_KINDS = (ReceiptKind.POSITIVE, ReceiptKind.NEAR_MISS)


def revising_template() -> Template:
    """The prompt itself."""
    return load_template("revise_senses", "v1")


def revising_turns(explanation: Explanation, found: ReceiptsResult, records: ExplainSet) -> Turns:
    """The prompt: failing senses with their texts, and the strongest exemplars."""
    senses = senses_of(explanation)
    blocks = []
    n_of_kind = _MOST_OF_KIND if len(found.failing) == 1 else _FEWEST_OF_KIND
    for number, failed in enumerate(found.failing, 1):
        own = [one for one in found.written if one.receipt.sense == failed.sense]
        # Those that speak against it first.
        own.sort(key=lambda one: bool(one.receipt.as_expected))
        shown = [one for kind in _KINDS for one in _of_kind(own, kind)[:n_of_kind]]
        texts = "\n".join(_tried(one, records) for one in shown)
        blocks.append(f"{number}. {quoted(senses[failed.sense].description)}\n{texts}")
    strongest = render_pairs(records.activating, records.side, records.peak, _SHOWN)
    return revising_template().render(
        failed="\n\n".join(blocks),
        strongest=f"Strongest in ordinary text:\n{strongest}",
        max_words=str(_MAX_WORDS),
        n=str(len(blocks)),
    )


def revising_tokens(n: int) -> int:
    """Room for a reply with so many descriptions."""
    return (n + 1) * _TOKENS_A_DESCRIPTION


def revising_schema(n: int) -> JsonSchema:
    """The schema of the reply."""
    return object_schema("senses", {"descriptions": array_schema({"type": "string"}, most=n)})


def read_descriptions(answer: str, n: int) -> tuple[str | None, ...]:
    """A new description for each of the senses asked about, None where none can be used.

    Raises:
        NoAnswerError: there is no list of them.
    """
    what = 'a list under "descriptions"'
    value = find_object(answer, "descriptions", what=what, kind=list).value["descriptions"]
    if not isinstance(value, list):
        raise NoAnswerError(f"the reply is not JSON with {what}: {value!r:.40}")
    lines = [_description(given) for given in value[:n]]
    return (*lines, *[None] * (n - len(lines)))


def _of_kind(written: Sequence[WrittenReceipt], kind: ReceiptKind) -> list[WrittenReceipt]:
    return [one for one in written if one.receipt.kind is kind]


def _description(given: object) -> str | None:
    if not isinstance(given, str):
        return None
    try:
        return parse_explanation(given, as_json=False, max_words=_MAX_WORDS)
    except NoAnswerError:
        return None


def _tried(one: WrittenReceipt, records: ExplainSet) -> str:
    """``should be silent: level 7 at " road", in "..."``."""
    values = rectify(one.probed.activations, records.side)
    levels = to_levels(values, peak=records.peak)
    strongest = sorted(range(len(levels)), key=lambda i: (-values[i], i))[:_N_ACTIVE]
    active = [f"{levels[i]} at {quoted(one.probed.tokens[i])}" for i in strongest if levels[i]]
    expected = "should fire" if one.receipt.expected else "should be silent"
    return f"{expected}, level {', '.join(active) or '0'}: {quoted(one.receipt.text)}"
