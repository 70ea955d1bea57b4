"""The separate things that a side responds to, asked of a capable LLM in one call.

It sees exemplars of all bands with the splits of their words, and the tokens that carry most of
the activation; it answers with senses, each with a level and a kind. From prompt v4 on a sense may
have rules, by which a program finds its places in place of a reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from typing_extensions import override

from autointerp.core.config import ExplainConfig, JobSpec
from autointerp.core.records import MAX_LEVEL
from autointerp.core.sense_types import Sense, SenseKind, folded, senses_text
from autointerp.core.variants import EXCERPT, PHRASE, JobLlm, PromptCalls
from autointerp.explainers.excerpts import Extent
from autointerp.explainers.explainer import (
    Explained,
    ExplainerDependencies,
    ExplainerSpec,
    ExplainInputs,
)
from autointerp.explainers.parse import (
    NO_PATTERN,
    TooManyWordsError,
    answer_text,
    over_long,
    parse_phrase,
    refuse_refusal,
)
from autointerp.explainers.prompting import ParsedReply, PromptedExplainer, ReplyForm
from autointerp.explainers.sense_inputs import spread_exemplars
from autointerp.explainers.sense_prompts import (
    MOST_OTHER,
    MOST_RULES,
    SHORT,
    USUAL,
    asks_for_other_rules,
    asks_for_rules,
    shown_inputs,
)
from autointerp.llm import JsonSchema
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.reply_formats import array_schema, object_schema
from autointerp.programs.language import MOST_STEPS, Program, usable_rules

_ROOM = 4_096
"""Context of an LLM below which the short prompt is asked."""
_FEWEST_SHOWN = 24
"""Exemplars shown where there are so many, however few other explainers show."""
_CONTEXT = 16
_WORDS_ASKED, _WORDS_TAKEN = 25, 30
_REPLY_TOKENS, _WITH_RULES = 500, 1_200
_MOST_SAID = 3
"""Reasons that are given why rules of one sense cannot be used."""
_OTHER = "other tokens and kinds of tokens"
_KINDS = [kind.value for kind in SenseKind if kind is not SenseKind.MIXED]
_NEXT_RULE = re.compile(r"\n(?=\s*(?:#|[0-9.]+\s*:))")
_LEVEL = re.compile(r"(?:level |about |around |~)*(-?\d+(?:\.\d+)?)(?: ?(?:/|of|out of) ?10)?")


@dataclass(frozen=True, slots=True)
class WordLimits:
    """Of one description, in words."""

    asked: int
    """What the LLM is told, at first and where a description was too long."""
    taken: int
    """What is taken nevertheless: a word more costs no question."""

    @classmethod
    def of(cls, config: ExplainConfig) -> WordLimits:
        """Those of a job."""
        most = config.max_words
        return cls(min(most, _WORDS_ASKED), min(most, _WORDS_TAKEN))


class Senses(PromptedExplainer):
    """Asks an LLM for the separate things that a side responds to."""

    name = "senses"

    def __init__(self, dependencies: ExplainerDependencies) -> None:
        n_ctx = dependencies.model.features.n_ctx
        usual = SHORT if n_ctx is not None and n_ctx < _ROOM else USUAL
        super().__init__(dependencies, version=dependencies.config.prompt or usual)

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records, config = inputs.records, self._config
        n = len(spread_exemplars(records, max(config.n_exemplars, _FEWEST_SHOWN)))
        words = WordLimits.of(config)
        version = self.template.ref.version
        ruled, with_other = asks_for_rules(version), asks_for_other_rules(version)

        def values(extent: Extent) -> dict[str, str]:
            shown = spread_exemplars(records, extent.n_records)
            return {
                **shown_inputs(version, inputs, shown, extent, share=extent.n_records / n),
                "max_senses": str(config.n_senses),
                "max_words": str(words.asked),
            }

        form = ReplyForm(
            lambda reply: read_senses(reply, n_senses=config.n_senses, words=words),
            max_tokens=_WITH_RULES if ruled else _REPLY_TOKENS,
            schema=senses_schema(config.n_senses, with_rules=ruled, with_other=with_other),
        )
        context = min(config.context_tokens, _CONTEXT)
        return await self.answers(inputs, values, n_records=n, form=form, context_tokens=context)


def senses_schema(
    n_senses: int,
    *,
    within: str | None = None,
    with_rules: bool = False,
    with_other: bool = False,
) -> JsonSchema:
    """Of a reply with at most so many senses, each of which first says what it is of."""
    sense: dict[str, object] = {} if within is None else {within: {"type": "string"}}
    sense |= {
        "description": {"type": "string"},
        "level": {"type": "integer", "minimum": 1, "maximum": MAX_LEVEL},
        "kind": {"type": "string", "enum": _KINDS},
    }
    if with_rules:
        sense["rules"] = array_schema({"type": "string"}, most=MOST_RULES)
    item = {
        "type": "object",
        "properties": sense,
        "required": list(sense),
        "additionalProperties": False,
    }
    parts = {"senses": array_schema(item, most=n_senses)}
    if with_other:
        parts["other"] = array_schema({"type": "string"}, most=MOST_OTHER)
    return object_schema("senses", parts)


def read_senses(reply: str, *, n_senses: int, words: WordLimits) -> ParsedReply:
    """The first senses of a reply, each once; "no single pattern" where it names none.

    What one sense says may be unusable, and is then named as left out. A rule that cannot be used
    costs only itself; a sense without any that can is one without rules.

    Raises:
        NoAnswerError: it does not have the form asked for, or no sense that it names can be used.
    """
    text = answer_text(reply)
    what = 'a list under "senses"'
    try:
        reply_object = find_object(text, "senses", what=what, kind=list).value
    except NoAnswerError:
        refuse_refusal(text)
        if text.strip(" .\"'\n").lower().startswith(NO_PATTERN):
            return ParsedReply(NO_PATTERN)
        raise
    items = reply_object["senses"]
    if not isinstance(items, list):
        raise NoAnswerError(f"the reply is not JSON with {what}: {items!r:.40}")
    reading = _Reading(words)
    senses = reading.senses(items, n_senses)
    if reading.unusable and not senses:
        raise NoAnswerError("; ".join(reading.unusable))
    other = reading.program(reply_object.get("other"), MOST_OTHER, "other")
    if other is not None and senses:
        senses.append(Sense(_OTHER, other.level, SenseKind.MIXED, program=other.source))
    elif other is not None:
        reading.unusable.append("rules of tokens that belong to no sense, without any sense")
    return ParsedReply(
        senses_text(senses) if senses else NO_PATTERN,
        senses=tuple(senses),
        left_out="; ".join(reading.unusable) or None,
        note="; ".join(reading.notes) or None,
    )


class _Reading:
    """Reads the parts of one reply; what cannot be used of them is said in the end."""

    def __init__(self, words: WordLimits) -> None:
        self.unusable: list[str] = []
        """Senses that cannot be used, and those whose rules cannot, any of them."""
        self.notes: list[str] = []
        """Rules that cannot be used, beside others of the same sense."""
        self._words, self._steps_left = words, MOST_STEPS

    def senses(self, items: Sequence[object], n_senses: int) -> list[Sense]:
        """The first senses, each once."""
        senses: dict[str, Sense] = {}
        n_words: dict[int, int] = {}
        n_unusable = 0
        for number, item in enumerate(items, 1):
            if len(senses) + len(n_words) + n_unusable == n_senses:
                break
            try:
                sense = self._sense(item, number)
            except TooManyWordsError as error:
                n_words[number] = error.n_words
            except NoAnswerError as error:
                self.unusable.append(f"description {number}: {error}")
                n_unusable += 1
            else:
                if not sense.description.lower().startswith(NO_PATTERN):
                    key = folded(sense.description)
                    senses[key] = self._both(senses[key], sense) if key in senses else sense
        if n_words:
            self.unusable.append(over_long(n_words, self._words.asked))
        return list(senses.values())

    def _sense(self, item: object, number: int) -> Sense:
        if not (isinstance(item, dict) and isinstance(item.get("description"), str)):
            msg = f'asked for senses with a text under "description", found {item!r:.60}'
            raise NoAnswerError(msg)
        description = parse_phrase(item["description"], max_words=self._words.taken)
        kind = _kind(item.get("kind"))
        program = self.program(item.get("rules"), MOST_RULES, f"description {number}")
        if program is None:
            return Sense(description, _level(item.get("level")), kind)
        return Sense(description, program.level, kind, program=program.source)

    def _both(self, first: Sense, again: Sense) -> Sense:
        """A sense that is given twice: the first, with the rules of both."""
        lines = list(dict.fromkeys((*first.rules, *again.rules)))
        program, problems = usable_rules(lines[:MOST_RULES], most_steps=MOST_STEPS)
        if len(lines) > MOST_RULES:
            many = f"it is given twice with {len(lines)} rules, at most {MOST_RULES} are allowed"
            problems = [many, *problems]
        if problems:
            self.notes.append(f"{first.description:.40}: {'; '.join(problems)}")
        if program is None:
            return first
        return replace(first, level=program.level, program=program.source)

    def program(self, rules: object, most: int, where: str) -> Program | None:
        """Of the rules that can be used; None without any that predicts anything."""
        if not isinstance(rules, list | str | None):
            self.unusable.append(f'{where}: asked for a list under "rules", found {rules!r:.40}')
            return None
        lines = _lines(rules or ())
        program, problems = usable_rules(lines[:most], most_steps=self._steps_left)
        if len(lines) > most:
            problems.insert(0, f"there are {len(lines)} rules, at most {most} are allowed")
        if len(problems) > _MOST_SAID:
            problems[_MOST_SAID:] = [f"and {len(problems) - _MOST_SAID} more"]
        if problems:
            notes = self.unusable if program is None else self.notes
            notes.append(f"{where}: {'; '.join(problems)}")
        self._steps_left -= program.n_steps if program else 0
        return program if program is not None and program.level > 0 else None


def _lines(rules: Sequence[object]) -> list[str]:
    """Rules without comments, one a line: where a line goes on, the break is a part of the rule."""
    items = [rules] if isinstance(rules, str) else [str(rule) for rule in rules]
    lines = [line.strip() for item in items for line in _NEXT_RULE.split(item)]
    return [line.replace("\n", r"\n") for line in lines if line and not line.startswith("#")]


def _level(value: object) -> float:
    """A whole level from 1 to 10; 0 and 11 are taken for the nearest."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(value, str):
        match = _LEVEL.fullmatch(value.strip().lower())
        number = float(match[1]) if match else None
    if number is None or not math.isfinite(number) or not 0 <= number <= MAX_LEVEL + 1:
        raise NoAnswerError(f"{value!r:.40} is not a whole level from 1 to {MAX_LEVEL}")
    return float(min(MAX_LEVEL, max(1, round(number))))


def _kind(value: object) -> SenseKind:
    known = {kind: SenseKind(kind) for kind in _KINDS}
    return known.get(str(value).strip().lower(), SenseKind.OTHER)


def _calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    explain = job.explain
    context = min(job.corpus.n_ctx, 3 * min(explain.context_tokens, _CONTEXT) // 2)
    version = explain.prompt or USUAL
    tables, a_sense = (40, 5) if asks_for_rules(version) else (10, 2)
    shown = max(explain.n_exemplars, _FEWEST_SHOWN) * context * EXCERPT + tables * PHRASE
    reply = explain.n_senses * a_sense * PHRASE
    n = explain.n_samples
    return (PromptCalls("explain_senses", n, shown, reply, version=version, explains=True),)


SPEC = ExplainerSpec(
    name=Senses.name,
    build=Senses,
    calls=_calls,
    chosen_prompt="explain_senses",
    default_with=frozenset({JobLlm.CAPABLE}),
)
