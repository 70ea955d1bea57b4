"""Explanations revised after counter-examples were really run through the subject model.

The LLM writes texts that should activate the unit if its explanation is right, and near misses
that should not; the subject model is run on them; the LLM sees what the unit did and revises.
Counter-examples as in OpenAI's neuron-explainer, measured as in SAGE (Han et al. 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.probe import ProbedText, UnitProbe
from autointerp.core.records import ExplainSet, rectify, to_levels
from autointerp.core.seeds import derive_seed
from autointerp.core.text import plain_text, quoted
from autointerp.core.variants import EXCERPT, EXPLANATION, PHRASE, WRITTEN_TEXT, Need, PromptCalls
from autointerp.explainers.excerpts import (
    Extent,
    PromptLimit,
    TooLongError,
    Turns,
    cut_around,
    fit_turns,
    render_active,
    whole_text,
)
from autointerp.explainers.explainer import (
    Explained,
    Explainer,
    ExplainerDependencies,
    ExplainerSpec,
    ExplainInputs,
    exemplar_tokens,
)
from autointerp.explainers.parse import answer_text, refuse_refusal
from autointerp.explainers.prompting import ParsedReply, ReplyForm, UnansweredError, ask
from autointerp.explainers.token_activation import TokenActivation, token_activation_calls
from autointerp.llm.answers import NoAnswerError, find_object
from autointerp.llm.reply_formats import object_schema
from autointerp.templates import load_template

T = TypeVar("T")

_MAX_CHARS = 300
_TEXTS = {"type": "array", "items": {"type": "string"}}
_TEXTS_SCHEMA = object_schema("texts", {"active": _TEXTS, "silent": _TEXTS})


@dataclass(frozen=True, slots=True)
class _WindowTexts:
    active: tuple[str, ...]
    silent: tuple[str, ...]


class Revision(Explainer):
    """Revises the first answer of another explainer; all its answers stay."""

    name = "revision"

    def __init__(self, inner: Explainer, dependencies: ExplainerDependencies) -> None:
        self._inner, self._model = inner, dependencies.model
        self._config, self._seed = dependencies.config, dependencies.seed
        self._writing = load_template("explain_counterexamples", "v1")
        self._revising = load_template("explain_revision", "v1")
        self._counter = dependencies.counter

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (*self._inner.prompts, self._writing.ref, self._revising.ref)

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        given = await self._inner.explain(inputs)
        if not given.explanations:
            return given
        if inputs.probe is None:
            why = f"{self.name}: the subject model is not at hand to run texts through"
            return replace(given, failures=(*given.failures, why))
        return await self._revise(inputs, inputs.probe, given)

    async def _revise(self, inputs: ExplainInputs, probe: UnitProbe, given: Explained) -> Explained:
        answers, current = list(given.explanations), given.explanations[0].text
        known = {answer.text.casefold() for answer in answers}
        for number in range(self._config.n_revisions):
            try:
                answer = await self._round(inputs, probe, current, number)
            except (UnansweredError, TooLongError, InputError) as error:
                why = f"{self.name} round {number}: {error}"
                return Explained(
                    tuple(answers), (*given.failures, why), found_no_pattern=given.found_no_pattern
                )
            if answer.is_no_pattern:
                return Explained(tuple(answers), given.failures, found_no_pattern=True)
            if answer.text.casefold() in known:
                break
            known.add(answer.text.casefold())
            answers.append(self._explanation(answer, number))
            current = answer.text
        return replace(given, explanations=tuple(answers))

    async def _round(
        self, inputs: ExplainInputs, probe: UnitProbe, explanation: str, number: int
    ) -> ParsedReply:
        texts = await self._texts(inputs, explanation, number)
        unit = inputs.records.unit
        measured = await probe.measure(unit, [*texts.active, *texts.silent])
        n_active = len(texts.active)
        return await self._revised(
            inputs, explanation, measured[:n_active], measured[n_active:], number
        )

    async def _texts(self, inputs: ExplainInputs, explanation: str, number: int) -> _WindowTexts:
        n_texts = self._config.n_counterexamples
        rendered = self._writing.render(
            explanation=quoted(explanation),
            n_texts=str(n_texts),
            max_chars=str(_MAX_CHARS),
        )
        form = ReplyForm(lambda _: ParsedReply(""), max_tokens=200 * n_texts, schema=_TEXTS_SCHEMA)
        return await self._asked(
            inputs,
            ("texts", number),
            lambda _: rendered,
            form.within(self._model.features),
            lambda reply: read_texts(reply, n_texts),
        )

    async def _revised(
        self,
        inputs: ExplainInputs,
        explanation: str,
        active: Sequence[ProbedText],
        silent: Sequence[ProbedText],
        number: int,
    ) -> ParsedReply:
        form = ReplyForm.json(max_words=self._config.max_words).within(self._model.features)
        return await self._asked(
            inputs,
            ("revise", number),
            lambda extent: self._revising.render(
                explanation=quoted(explanation),
                texts=render_tested(active, silent, inputs.records, extent),
                max_words=str(self._config.max_words),
            ),
            form,
            form.read,
            n_records=max(len(active), len(silent)),
        )

    async def _asked(  # noqa: PLR0913 - a question and how it is read
        self,
        inputs: ExplainInputs,
        step: tuple[str, int],
        render: Callable[[Extent], Turns],
        form: ReplyForm,
        read: Callable[[str], T],
        *,
        n_records: int = 1,
    ) -> T:
        """What the reply to a prompt of so many records, or as many as fit, says."""
        seed = self._derived(inputs.records, *step)
        while True:
            n_ctx = self._model.features.n_ctx
            turns = fit_turns(
                render,
                n_records,
                PromptLimit(n_ctx, self._counter),
                reply_tokens=form.max_tokens,
                context_tokens=self._config.context_tokens,
            )
            request = form.request(turns, temperature=0.0, seed=seed, fresh=inputs.fresh)
            try:
                return await ask(self._model, request, read, counter=self._counter)
            except UnansweredError:
                # Again where the endpoint has said how little fits.
                known = self._model.features.n_ctx
                if known is None or (n_ctx is not None and known >= n_ctx):
                    raise

    def _derived(self, records: ExplainSet, step: str, number: int) -> int:
        return derive_seed(self._seed, self.name, str(records.unit), records.side, step, number)

    def _explanation(self, answer: ParsedReply, number: int) -> Explanation:
        return Explanation(
            text=answer.text,
            explainer=self.name,
            model=self._model.name,
            prompt=self._revising.ref,
            temperature=0.0,
            sample=number,
        )


def read_texts(reply: str, n_texts: int) -> _WindowTexts:
    """The texts that a reply gives, each once.

    Raises:
        NoAnswerError: they are not two lists of texts, none should activate the unit, or
            they are too many or too long.
    """
    text = answer_text(reply)
    try:
        listed = find_object(text, "active", what='a list of texts under "active"', kind=list)
    except NoAnswerError:
        refuse_refusal(text)
        raise
    result = listed.value
    active, silent = (_list_of(result.get(name), name, n_texts) for name in ("active", "silent"))
    if not active:
        raise NoAnswerError('the reply holds no text under "active"')
    return _WindowTexts(active, tuple(text for text in silent if text not in active))


def _list_of(value: object, name: str, n_texts: int) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise NoAnswerError(f'the reply is not JSON with a list of texts under "{name}"')
    texts = tuple(dict.fromkeys(plain_text(text) for text in value if text.strip()))
    if len(texts) > n_texts:
        msg = f'the reply holds {len(texts)} texts under "{name}", at most {n_texts} are allowed'
        raise NoAnswerError(msg)
    longest = max((len(text) for text in texts), default=0)
    if longest > _MAX_CHARS:
        raise NoAnswerError(f"a text has {longest} characters, at most {_MAX_CHARS} are allowed")
    return texts


def render_tested(
    active: Sequence[ProbedText], silent: Sequence[ProbedText], records: ExplainSet, extent: Extent
) -> str:
    """Texts around their peaks, with what was expected and what the unit did."""
    expected = [("should activate", text) for text in active[: extent.n_records]]
    expected += [("should not activate", text) for text in silent[: extent.n_records]]
    return "\n\n".join(
        _tested(f"Text {number} ({what})", text, records, extent)
        for number, (what, text) in enumerate(expected, 1)
    )


def _tested(head: str, text: ProbedText, records: ExplainSet, extent: Extent) -> str:
    values = rectify(text.activations, records.side)
    place = max(range(len(values)), key=values.__getitem__)
    level = to_levels([values[place]], peak=records.peak)[0]
    shown = replace(extent, before=2 * extent.before, after=2 * extent.after)
    tokens, near = cut_around(text.tokens, values, place, shown)
    active = render_active(tokens, near, peak=records.peak)
    return f"{head}: {whole_text(tokens)}\nPeak level {level}. {active}"


def _calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    n, texts = job.explain.n_revisions, 2 * job.explain.n_counterexamples * WRITTEN_TEXT
    shown = exemplar_tokens(job) + EXCERPT * texts
    return (
        *token_activation_calls(job),
        PromptCalls("explain_counterexamples", n, PHRASE, texts),
        PromptCalls("explain_revision", n, shown, EXPLANATION, explains=True),
    )


SPEC = ExplainerSpec(
    name=Revision.name,
    build=lambda dependencies: Revision(TokenActivation(dependencies), dependencies),
    needs=frozenset({Need.LLM, Need.SUBJECT}),
    calls=_calls,
    chosen_prompt=f"explain_{TokenActivation.name}",
)
