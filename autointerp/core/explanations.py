"""Explanations, where they came from, and explanations that a program can apply."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """An explanation with what the validation set says of it."""

    explanation: Explanation
    validation_score: float | None
    """Population correlation over the validation windows, None where undefined."""
    reason: str | None
    """Why the score is undefined."""
    chosen: bool


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
