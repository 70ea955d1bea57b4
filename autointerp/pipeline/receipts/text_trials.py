"""Senses are tried on texts that an LLM writes by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autointerp.core.errors import InputError
from autointerp.core.sense_types import Receipt, ReceiptKind, Sense
from autointerp.core.text import TextTokenizer
from autointerp.explainers import ExplainInputs
from autointerp.llm.answers import NoAnswerError
from autointerp.pipeline.receipts.llm_allowance import LlmAllowance
from autointerp.pipeline.receipts.receipts_result import WrittenReceipt
from autointerp.pipeline.receipts.short_runs import ShortRuns
from autointerp.pipeline.receipts.writing_prompt import (
    SenseTexts,
    TextPlan,
    read_texts,
    reply_tokens,
    writing_schema,
    writing_turns,
)
from autointerp.programs.language import parse_program


@dataclass(frozen=True, slots=True)
class TriedTexts:
    """What texts by some senses came to."""

    written: tuple[WrittenReceipt, ...] = ()
    texts: Mapping[int, SenseTexts] = field(default_factory=dict)
    """What the LLM wrote of each sense, rewrites too; empty where it failed."""
    notes: tuple[str, ...] = ()


async def try_texts(
    senses: Mapping[int, Sense],
    plans: Sequence[TextPlan],
    inputs: ExplainInputs,
    allowance: LlmAllowance,
    runs: ShortRuns,
) -> TriedTexts:
    """Lets the LLM write so many texts by each of these senses, and runs them.

    A reply that cannot be read gives no receipt but a note.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    turns = writing_turns(tuple(senses.values()), plans)
    try:
        answer = await allowance.answer(
            turns, max_tokens=reply_tokens(plans), schema=writing_schema(plans)
        )
        given, notes = read_texts(answer, plans)
    except NoAnswerError as error:
        return TriedTexts(notes=(f"the LLM wrote no texts: {error}",))
    texts = dict(zip(senses, given, strict=True))
    asked = [
        (place, kind, text)
        for place, one in texts.items()
        for kind, of_kind in (
            (ReceiptKind.POSITIVE, one.fires),
            (ReceiptKind.NEAR_MISS, one.silent),
        )
        for text in of_kind
    ]
    lengths = [_n_tokens(inputs.tokenizer, text) for _, _, text in asked]
    runnable = [one for one, n in zip(asked, lengths, strict=True) if n]
    try:
        probed = await runs.texts([text for _, _, text in runnable])
    except InputError as error:
        return TriedTexts((), texts, (*notes, f"the texts were not run: {error}"))
    # The probe cuts what is longer than the model's context: the rest of it was not read.
    read = [
        (*one, whole)
        for one, n, whole in zip(runnable, filter(None, lengths), probed, strict=False)
        if len(whole.tokens) == n
    ]
    lost = len(asked) - len(read)
    notes += (f"texts that could not be run as a whole: {lost}",) if lost else ()
    return TriedTexts(
        tuple(
            WrittenReceipt(
                Receipt(
                    kind,
                    place,
                    text,
                    expected=kind is ReceiptKind.POSITIVE,
                    level=runs.level(whole.peak(inputs.records.side)),
                    fires_from=_fires_from(senses[place], whole.tokens),
                ),
                whole,
            )
            for place, kind, text, whole in read
        ),
        texts,
        notes,
    )


def _fires_from(sense: Sense, tokens: Sequence[str]) -> float:
    """By what its rules expect of this text, where it has rules and they expect anything."""
    expected = max(parse_program(sense.program).levels(tokens), default=0) if sense.program else 0
    return (replace(sense, level=expected) if expected else sense).fires_from


def _n_tokens(tokenizer: TextTokenizer, text: str) -> int:
    """How many tokens a text has for the subject model; 0 where it cannot take it."""
    try:
        return len(tokenizer.encode(text))
    except InputError:
        return 0
