"""Explanations that are programs, proposed by an LLM or by a person: see `programs.language`."""

from __future__ import annotations

import re
import unicodedata

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.explainers.excerpts import Extent, render_pairs
from autointerp.explainers.explainer import (
    Explained,
    ExplainerSpec,
    ExplainInputs,
    exemplar_tokens,
    explain_calls,
)
from autointerp.explainers.parse import NO_PATTERN, answer_text, refuse_refusal
from autointerp.explainers.prompting import ParsedReply, PromptedExplainer, ReplyForm
from autointerp.llm.answers import NoAnswerError
from autointerp.programs.language import parse_program

_MAX_RULES = 12
_MAX_TOKENS = 400
_FENCED = re.compile(r"```[a-z]*[ \t]*\n(.*?)```", re.DOTALL)


class ProgramExplainer(PromptedExplainer):
    """Asks an LLM for rules that a program can apply."""

    name = "program"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records = inputs.records
        shown = self.exemplars(inputs)

        def values(extent: Extent) -> dict[str, str]:
            text = render_pairs(shown, records.side, records.peak, extent)
            return {"exemplars": text, "max_rules": str(_MAX_RULES)}

        form = ReplyForm(read_program, max_tokens=_MAX_TOKENS)
        return await self.answers(inputs, values, n_records=len(shown), form=form)


def read_program(reply: str) -> ParsedReply:
    """The program in a reply: its last fenced block that is one, or all of it where none is fenced.

    Raises:
        NoAnswerError: it is not a program, or has more rules than were asked for.
    """
    text = answer_text(reply)
    blocks = [fenced[1] for fenced in _FENCED.finditer(text)] or [text.strip("`")]
    failures = []
    for block in reversed(blocks):
        if block.strip(" .\"'\n").lower() == NO_PATTERN:
            return ParsedReply(NO_PATTERN)
        try:
            program = parse_program(block.strip())
        except InputError as error:
            failures.append(str(error))
            continue
        if len(program.rules) > _MAX_RULES:
            msg = f"the program has {len(program.rules)} rules, at most {_MAX_RULES} are allowed"
            raise NoAnswerError(msg)
        return ParsedReply(_readable(program.sentence), program.source)
    refuse_refusal(text)
    raise NoAnswerError(failures[0])


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


SPEC = ExplainerSpec(
    name=ProgramExplainer.name,
    build=ProgramExplainer,
    calls=lambda job: (explain_calls("program", job, shown=exemplar_tokens(job)),),
)
