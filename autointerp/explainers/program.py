"""Explanations that are programs, proposed by an LLM or by a person: see `core.programs`."""

from __future__ import annotations

import re
import unicodedata

from autointerp.core.config import ExplainConfig
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.programs import parse_program
from autointerp.explainers.asking import Answer, Asking, ReplyForm
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.excerpts import render_pairs
from autointerp.explainers.fitting import Extent
from autointerp.explainers.parse import NO_PATTERN, UnreadableReplyError, answer_text
from autointerp.llm import ChatModel
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter
from autointerp.templates import load_template

_MAX_RULES = 12
_MAX_TOKENS = 400
_FENCED = re.compile(r"```[a-z]*[ \t]*\n(.*?)```", re.DOTALL)


class ProgramExplainer:
    """Asks an LLM for rules that a program can apply."""

    name = "program"

    def __init__(
        self,
        model: ChatModel,
        config: ExplainConfig,
        *,
        seed: int,
        counter: TokenCounter = UPPER_ESTIMATE,
    ) -> None:
        self._config = config
        template = load_template("explain_program", "v1")
        self.prompts: tuple[PromptRef, ...] = (template.ref,)
        self._asking = Asking(self.name, template, model, config, seed=seed, counter=counter)

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """The LLM's programs, each once; one that cannot be read is asked for again once."""
        records = evidence.records
        shown = records.activating[: self._config.n_exemplars]
        if not shown:
            return Explained((), (f"{self.name}: there is no activating record to show",))

        def values(extent: Extent) -> dict[str, str]:
            text = render_pairs(shown, records.side, records.peak, extent)
            return {"exemplars": text, "max_rules": str(_MAX_RULES)}

        form = ReplyForm(read_program, max_tokens=_MAX_TOKENS)
        return await self._asking.explained(evidence, values, n_records=len(shown), form=form)


def read_program(reply: str) -> Answer:
    """The program in a reply: its first fenced block, or all of it where there is none.

    Raises:
        UnreadableReplyError: it is none, or has more rules than were asked for.
    """
    text = answer_text(reply)
    fenced = _FENCED.search(text)
    body = (fenced[1] if fenced else text.strip("`")).strip()
    if body.strip(" .\"'").lower() == NO_PATTERN:
        return Answer(NO_PATTERN)
    try:
        program = parse_program(body)
    except InputError as error:
        raise UnreadableReplyError(str(error)) from error
    if len(program.rules) > _MAX_RULES:
        msg = f"the program has {len(program.rules)} rules, at most {_MAX_RULES} are allowed"
        raise UnreadableReplyError(msg)
    return Answer(_readable(program.sentence), program.source)


def program_explanation(source: str, *, explainer: str = "program") -> Explanation:
    """The explanation that a program is, for one that a person wrote.

    Raises:
        InputError: it cannot be read; the message names the line.
    """
    program = parse_program(source)
    return Explanation(
        text=_readable(program.sentence),
        explainer=explainer,
        model=None,
        prompt=None,
        temperature=None,
        sample=0,
        program=program.source,
    )


def _readable(text: str) -> str:
    """The same on one line, without halves of characters."""
    unseen = {"Cc", "Cs", "Zl", "Zp"}
    return "".join(" " if unicodedata.category(c) in unseen else c for c in text)
