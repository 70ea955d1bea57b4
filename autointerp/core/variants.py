"""What explainers and scorers declare: their names, what they need, how often they ask an LLM.

Each has one frozen record, ``SPEC``, in its own module; whatever has to know what a variant is
reads that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from autointerp.core.errors import InputError
from autointerp.core.files import PackagedFile
from autointerp.core.one_line import shortened

# Sizes for estimates of what a job will ask, in tokens of an LLM. A subject's token is one where
# text is shown, two where its active tokens are listed after it, three as a quoted cell of a row.
PHRASE, EXPLANATION, WORD = 25, 30, 2
TEXT, EXCERPT, CELL = 1, 2, 3
WRITTEN_TEXT = 30
"""A text that an LLM writes to be run through the subject model."""


class Need(StrEnum):
    """Something without which a variant cannot run; as a verb phrase."""

    LLM = "asks an LLM"
    ECHO = "needs an LLM with /v1/completions and echo"
    SUBJECT = "runs texts through the subject model"
    NEGATIVES = "compares with silent windows that look like the exemplars"
    INPUTS = "compares what the unit reads where it is active"
    LOGIT_EFFECTS = "reads which tokens the unit promotes and suppresses"


class JobLlm(StrEnum):
    """What kind of LLM a job uses, by which its default explainers and scorers are chosen."""

    CAPABLE = "capable"
    SMALL = "small"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PromptCalls:
    """Requests with one prompt about one unit, for the estimate before a job starts."""

    prompt: str
    """Name of the template."""
    n: int
    """Requests."""
    shown: int
    """Tokens that fill the template, of each request."""
    reply: int
    """Tokens of each reply."""
    version: str = "v1"
    explains: bool = False
    """Whether each reply is an explanation that scorers then choose among."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What an explainer and a scorer have in common."""

    name: str
    """What users type, and what labels store."""
    aliases: tuple[str, ...] = ()
    """Other names that users may type."""
    needs: frozenset[Need] = frozenset({Need.LLM})
    default_with: frozenset[JobLlm] = frozenset()
    """A job with such an LLM runs it if it names none."""
    package: PackagedFile | None = None
    """A file of a package that is installed separately."""
    chosen_prompt: str | None = None
    """A prompt whose version a job may choose, with ``explain.prompt`` or ``score.prompt``."""


V = TypeVar("V", bound=Variant)


def default_names(variants: Iterable[Variant], llm: JobLlm) -> tuple[str, ...]:
    """Names of those that a job with such an LLM runs if it names none."""
    return tuple(variant.name for variant in variants if llm in variant.default_with)


def named_variants(kind: str, variants: Sequence[V], names: Sequence[str]) -> tuple[V, ...]:
    """The variants of these names or aliases, each once, in the order of the names.

    Raises:
        InputError: a name is unknown; `kind` is ``explainer`` or ``scorer``.
    """
    known = {name: v for v in variants for name in (v.name, *v.aliases)}
    for name in names:
        if name not in known:
            there = ", ".join(sorted(v.name for v in variants))
            near = get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"unknown {kind} {shortened(name)}; there are {there}{meant}")
    return tuple({known[name].name: known[name] for name in names}.values())


def refuse_unmet(kind: str, variants: Sequence[Variant], lacking: Mapping[Need, str]) -> None:
    """Refuses variants that cannot run, for the reasons why needs cannot be met.

    Raises:
        InputError: naming the first that cannot run, its need and the reason.
    """
    for variant in variants:
        for need, why in lacking.items():
            if need in variant.needs:
                raise InputError(f"{kind} {variant.name} {need}, and {why}; leave the {kind} out")
