"""Explanations of units, and labels: what is said of one side of one unit, and how far it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NamedTuple

from autointerp.core import later_fields
from autointerp.core.errors import AutointerpError
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr, quoted
from autointerp.core.records import NeuronStats
from autointerp.core.scores import Score, ScorerResult
from autointerp.core.sense_types import Receipt, Sense, SenseScore
from autointerp.core.unit_evidence import UnitEvidence


@dataclass(frozen=True, slots=True)
class PromptRef:
    """A released prompt: the text that was rendered is fixed by its digest."""

    name: str
    version: str
    digest: str
    """First 16 hex digits of the SHA-256 of the template's text."""


@dataclass(frozen=True, slots=True)
class TokenRule:
    """One line of an explanation that needs no LLM to be applied."""

    tokens: tuple[int, ...]
    """Vocabulary ids that must end at the position: one for a token, two for a bigram."""
    text: str
    """The same tokens as text."""
    activation: float
    """Predicted activation of the side where the rule matches, model units."""
    share: float
    """Share of the side's activation mass over explain tokens that the rule covers, 0..1."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A short text that says what one side of a unit responds to."""

    text: str
    explainer: str
    """Name of the explainer: ``token_activation``, ``token_lookup``."""
    model: str | None
    """Name of the LLM that wrote it, None where none did."""
    prompt: PromptRef | None
    temperature: float | None
    sample: int
    """0-based number of the sample among the explainer's answers."""
    rules: tuple[TokenRule, ...] = ()
    """What the text says as rules, where the explainer made it from rules; else empty."""
    program: str | None = None
    """Source of the program that the explanation is, see `programs.language`; None for words."""
    senses: Annotated[tuple[Sense, ...], later_fields.LATER] = ()
    """The separate things that the text names, strongest first; empty for a text of one piece."""
    background: Annotated[float | None, later_fields.LATER] = None
    """Activation fitted where no sense applies, model units; None where none was fitted."""

    def __repr__(self) -> str:
        return f"Explanation({self.explainer}, {quoted(self.text)})"

    @property
    def content(self) -> tuple[object, ...]:
        """What it says and predicts, whoever said it: texts may be equal where rules differ."""
        return self.text, self.rules, self.program, self.senses, self.background

    @property
    def needs_no_llm(self) -> bool:
        """Whether activations can be predicted from it without an LLM."""
        return bool(self.rules) or self.program is not None

    @property
    def needs_no_reader(self) -> bool:
        """Whether rules say where each of its senses applies."""
        return bool(self.senses) and all(sense.program is not None for sense in self.senses)

    @property
    def is_mechanical(self) -> bool:
        """Whether rules or a program that no LLM wrote."""
        return self.needs_no_llm and self.model is None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An explanation with what the validation set says of it."""

    explanation: Explanation
    validation_score: float | None
    """Population correlation over the validation windows, None where undefined."""
    reason: str | None
    """Why the score is undefined."""
    chosen: bool

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class ScoredExplanation:
    """An explanation that was scored on the held-out windows of a label."""

    explanation: Explanation
    scorer: str
    """Name of the label's result that predicts activations from it."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything that decides a label, so that it can be made again."""

    package_version: str
    subject: str
    subject_revision: str
    """Digest of the subject model's weights."""
    dtype: str
    tokenizer: str
    corpus: str
    corpus_hash: str
    n_tokens: int
    """Tokens of the corpus that were read, BOS and padding excluded."""
    n_ctx: int
    seed: int
    split_hash: str
    collect_hash: str
    """Digest of what was collected and how."""
    explainer_model: str | None
    scorer_model: str | None
    prompts: tuple[PromptRef, ...]
    """Every prompt used, explainers first."""
    encoders: tuple[tuple[str, str], ...] = ()
    """(derived hook point, digest) of every SAE, transcoder or set of directions that was read."""

    __repr__ = brief_repr


class LabelStatus(StrEnum):
    """How labelling ended for a unit."""

    OK = "ok"
    """There is an explanation, and its preferred score has a value."""
    DEAD = "dead"
    """The side never activates on the explain text, or too seldom to hold anything out."""
    NO_SIGNAL = "no_signal"
    """It activates, but no explanation could be scored above nothing: the reason says why."""
    FAILED = "failed"
    """Something failed: the LLM, or reading its replies. A run with ``--resume`` tries again."""


REFUSED = "refused: "
"""Begins the reason of a failed label whose LLM, or the service around it, would not answer."""


@dataclass(frozen=True, slots=True)
class ExplanationSummary:
    """An explanation of a label with what it came to on held-out text."""

    explanation: Explanation
    scorer: str | None
    """Whose scores these are; None where no scorer ran."""
    score: Score
    """``population``."""
    added: Score
    """What it adds to the token table; undefined for rules."""
    chosen: bool
    """Whether it is the label's."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What a label says, without what it was chosen and judged by."""

    unit: UnitId
    side: Side
    status: LabelStatus
    explanations: tuple[ExplanationSummary, ...]
    """The label's first, then the LLM's and the rules where they are not it."""
    stats: NeuronStats
    corpus: str
    """Name of the corpus that was read."""
    promoted: tuple[tuple[str, float], ...] = ()
    """(token, value), strongest first; empty where the label does not have the values."""
    suppressed: tuple[tuple[str, float], ...] = ()

    __repr__ = brief_repr


class LabelOrigin(NamedTuple):
    """What a label was made from; a service keeps the newest label of each for a unit's side."""

    corpus: str
    """Name of the corpus that was read."""
    explainer: str | None
    """Whose explanation describes the side; None where none does."""

    @property
    def digest(self) -> str:
        """Names it in files and keys: 12 hexadecimal digits."""
        import hashlib  # noqa: PLC0415 - reading a label needs none

        text = f"{self.corpus}\x1f{self.explainer or ''}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Label:
    """The outcome for one side of one unit."""

    unit: UnitId
    side: Side
    status: LabelStatus
    reason: str | None
    """Why the status is not ``ok``; None where it is."""
    explanation: Explanation | None
    candidates: tuple[Candidate, ...]
    results: tuple[ScorerResult, ...]
    preferred: str | None
    """Name of the scorer whose population score is the headline."""
    stats: NeuronStats
    top_tokens: tuple[str, ...]
    """Tokens with the greatest mean activation of the side over explain text, best first."""
    provenance: Provenance
    failures: tuple[str, ...] = ()
    """What failed on the way without deciding the label: answers that could not be read."""
    promoted: tuple[str, ...] = ()
    """Tokens that the side makes more probable by the unit's output weights, strongest first."""
    suppressed: tuple[str, ...] = ()
    """Tokens that it makes less probable, strongest first."""
    llm: Annotated[ScoredExplanation | None, later_fields.LATER] = None
    """The best explanation that an LLM wrote, whether or not it is the label's."""
    rules: Annotated[ScoredExplanation | None, later_fields.LATER] = None
    """The best that none wrote."""
    sense_scores: Annotated[tuple[SenseScore, ...], later_fields.LATER] = ()
    """One for each sense of the LLM's explanation, in their order."""
    receipts: Annotated[tuple[Receipt, ...], later_fields.LATER] = ()
    """Texts with which the LLM's explanation was tried on the subject model."""
    needs: Annotated[tuple[str, ...], later_fields.LATER] = ()
    """What the unit needs before its peak, by its exemplars cut and edited; one sentence each,
    ``needs ' Anglo' before '-'``."""
    promoted_values: Annotated[tuple[float, ...], later_fields.LATER] = ()
    """What a unit of activation of the side adds to the logit of each of `promoted`, against the
    mean over the vocabulary, at a final norm's divisor of 1. Empty in labels of before it."""
    suppressed_values: Annotated[tuple[float, ...], later_fields.LATER] = ()
    """The same of each of `suppressed`; below zero."""
    evidence: Annotated[UnitEvidence | None, later_fields.LATER] = None
    """What is known of the side beside what is said of it; None in labels of before it."""

    def __post_init__(self) -> None:
        if (self.status is LabelStatus.OK) != (self.reason is None):
            msg = f"label {self.unit}: a status other than ok needs a reason, and ok takes none"
            raise AutointerpError(msg)

    def __repr__(self) -> str:
        sign = "+" if self.side is Side.POSITIVE else "-"
        text = self.explanation.text if self.explanation is not None else self.reason
        score = "" if self.headline.value is None else f"{self.headline.brief}, "
        return f"Label({self.unit.short} {sign}, {self.status.value}, {score}{quoted(text)})"

    def _repr_html_(self) -> str:
        from autointerp.core.notebook_html import label_html  # noqa: PLC0415 - few need it

        return label_html(self)

    @property
    def refused(self) -> bool:
        """Whether it failed because the LLM or its service would not answer, as filters do."""
        return self.status is LabelStatus.FAILED and (self.reason or "").startswith(REFUSED)

    def replaces(self, stored: Label | None) -> bool:
        """Whether a store takes it in place of another: a failure replaces only a failure."""
        failed = LabelStatus.FAILED
        return stored is None or self.status is not failed or stored.status is failed

    @property
    def origin(self) -> LabelOrigin:
        """The text and the explainer that it was made from."""
        explainer = self.explanation.explainer if self.explanation is not None else None
        return LabelOrigin(self.provenance.corpus, explainer)

    def keeps(self, stored: Label) -> bool:
        """Whether a store of several jobs keeps another, whose place this one takes, beside it."""
        describes = stored.explanation is not None and stored.status is not LabelStatus.FAILED
        return describes and self.origin != stored.origin

    def result(self, scorer: str) -> ScorerResult | None:
        """What that scorer found, or None where it did not run."""
        return next((r for r in self.results if r.scorer == scorer), None)

    def score(self, scorer: str, name: str = "population") -> Score:
        """A score by name; undefined with a reason where the scorer did not run."""
        result = self.result(scorer)
        if result is None:
            return Score.undefined(name, f"{scorer} did not run")
        return result.score(name)

    def score_of(self, scored: ScoredExplanation | None, name: str = "population") -> Score:
        """A score of the LLM's explanation or of the rules; undefined where there is none."""
        if scored is None:
            return Score.undefined(name, "there is no such explanation")
        return self.score(scored.scorer, name)

    @property
    def headline(self) -> Score:
        """The population score of the preferred scorer."""
        if self.preferred is None:
            return Score.undefined("population", self.reason or "no scorer ran")
        return self.score(self.preferred)

    @property
    def summary(self) -> LabelSummary:
        """The label without what it was chosen and judged by."""
        return LabelSummary(
            unit=self.unit,
            side=self.side,
            status=self.status,
            explanations=explanation_summaries(
                self.explanation, self.preferred, (self.llm, self.rules), self.results
            ),
            stats=self.stats,
            corpus=self.provenance.corpus,
            # Labels of before the values were kept have tokens alone.
            promoted=tuple(zip(self.promoted, self.promoted_values, strict=False)),
            suppressed=tuple(zip(self.suppressed, self.suppressed_values, strict=False)),
        )


def explanation_summaries(
    chosen: Explanation | None,
    preferred: str | None,
    scored: Sequence[ScoredExplanation | None],
    results: Sequence[ScorerResult],
) -> tuple[ExplanationSummary, ...]:
    """The chosen explanation and those that were scored beside it, each once."""
    scorers: dict[Explanation, str | None] = {} if chosen is None else {chosen: preferred}
    for one in scored:
        if one is not None:
            scorers.setdefault(one.explanation, one.scorer)
    by_name = {result.scorer: result for result in results}

    def score(scorer: str | None, name: str) -> Score:
        if scorer in by_name:
            return by_name[scorer].score(name)
        return Score.undefined(name, f"{scorer} did not run" if scorer else "no scorer ran")

    return tuple(
        ExplanationSummary(e, s, score(s, "population"), score(s, "added"), chosen=e == chosen)
        for e, s in scorers.items()
    )
