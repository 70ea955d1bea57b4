"""The prompt that asks for texts by senses and rewrites of them, and what its answer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.sense_types import Sense
from autointerp.core.text import plain_text, quoted
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.chat_model import JsonSchema
from autointerp.llm.reply_formats import array_schema, object_schema
from autointerp.templates import Template, load_template
from autointerp.templates.loader import Role

MAX_CHARS = 300
TOKENS_A_TEXT, TOKENS_A_SENSE = 40, 60
_FIRES, _SILENT, _BROADER, _NARROWER = "fires", "silent", "broader", "narrower"


@dataclass(frozen=True, slots=True)
class TextPlan:
    """How many texts are asked for of one sense."""

    n_fires: int
    n_silent: int


@dataclass(frozen=True, slots=True)
class SenseTexts:
    """What came back of one sense."""

    fires: tuple[str, ...] = ()
    """Texts that should activate the unit."""
    silent: tuple[str, ...] = ()
    """Near misses."""
    broader: str | None = None
    narrower: str | None = None


def spread_texts(n_texts: int, n_senses: int) -> tuple[TextPlan, ...]:
    """Half of the texts of each kind, spread over the senses, the first of which get more."""
    n_silent = n_texts // 2
    return tuple(
        TextPlan(*(n // n_senses + (i < n % n_senses) for n in (n_texts - n_silent, n_silent)))
        for i in range(n_senses)
    )


def reply_tokens(plans: Sequence[TextPlan]) -> int:
    """Room for a reply with these texts."""
    n_texts = sum(plan.n_fires + plan.n_silent for plan in plans)
    return n_texts * TOKENS_A_TEXT + len(plans) * TOKENS_A_SENSE + TOKENS_A_SENSE


def writing_template() -> Template:
    """The prompt itself."""
    return load_template("write_receipts", "v4")


def writing_turns(
    senses: Sequence[Sense], plans: Sequence[TextPlan]
) -> tuple[tuple[Role, str], ...]:
    """The prompt that asks for so many texts by each sense."""
    lines = [
        f"{number}. {quoted(sense.description)} ({plan.n_fires} fires, {plan.n_silent} silent)"
        for number, (sense, plan) in enumerate(zip(senses, plans, strict=True), 1)
    ]
    return writing_template().render(senses="\n".join(lines))


def writing_schema(plans: Sequence[TextPlan]) -> JsonSchema:
    """The schema of the reply."""
    most = max(max(plan.n_fires, plan.n_silent) for plan in plans)
    text = {"type": "string"}
    texts = array_schema(text, most=most)
    fields = {_FIRES: texts, _SILENT: texts, _BROADER: text, _NARROWER: text}
    sense = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    n = len(plans)
    return object_schema("receipts", {"senses": array_schema(sense, least=n, most=n)})


def read_texts(
    answer: str, plans: Sequence[TextPlan]
) -> tuple[tuple[SenseTexts, ...], tuple[str, ...]]:
    """What an answer gives of each sense, and notes on what was left out of it.

    Raises:
        NoAnswerError: it is not JSON of the form asked for.
    """
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    senses = []
    for plan, given in zip(plans, _senses(answer, len(plans)), strict=False):
        if not isinstance(given, dict):
            left_out["not an object"] += 1
            senses.append(SenseTexts())
            continue
        fires = _texts(given.get(_FIRES), plan.n_fires, seen, left_out)
        silent = _texts(given.get(_SILENT), plan.n_silent, seen, left_out)
        senses.append(SenseTexts(fires, silent, _line(given, _BROADER), _line(given, _NARROWER)))
    senses += [SenseTexts()] * (len(plans) - len(senses))
    whys = ", ".join(f"{n} {why}" for why, n in left_out.items())
    notes = [f"left out of what the LLM wrote: {whys}"] if whys else []
    asked = sum(plan.n_fires + plan.n_silent for plan in plans)
    came = sum(len(one.fires) + len(one.silent) for one in senses)
    if came < asked:
        notes.append(f"asked the LLM for {asked} texts, {came} can be used")
    return tuple(senses), tuple(notes)


def _senses(answer: str, n: int) -> Sequence[object]:
    try:
        value = find_object(answer, "senses", what='a list under "senses"', kind=list).value
    except NoAnswerError:
        if n > 1:
            raise
        return [find_object(answer, _FIRES, what=f'a list under "{_FIRES}"', kind=list).value]
    if isinstance(value["senses"], list):
        return value["senses"]
    raise NoAnswerError(f'what stands under "senses" is not a list: {value["senses"]!r:.40}')


def _texts(value: object, most: int, seen: set[str], left_out: Counter[str]) -> tuple[str, ...]:
    """The usable ones among the first so many, each text once over all senses."""
    if not isinstance(value, list):
        left_out["not a list"] += 1
        return ()
    texts: list[str] = []
    for given in value:
        # Line breaks and blanks within are part of what is tried.
        text = plain_text(given.strip(" ")) if isinstance(given, str) else ""
        why = _unusable(text, seen)
        if why is None and len(texts) == most:
            why = "more than asked for"
        if why is None:
            seen.add(text.casefold())
            texts.append(text)
        else:
            left_out[why] += 1
    return tuple(texts)


def _unusable(text: str, seen: Collection[str]) -> str | None:
    if not text.strip():
        return "empty or not a text"
    if len(text) > MAX_CHARS:
        return f"longer than {MAX_CHARS} characters"
    return "given twice" if text.casefold() in seen else None


def _line(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    line = plain_text(" ".join(value.split())) if isinstance(value, str) else ""
    return line if 0 < len(line) <= MAX_CHARS else None
