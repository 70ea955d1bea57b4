"""The scorer of explanations that are programs: applied as they are, without any LLM."""

from __future__ import annotations

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.levels import MAX_LEVEL
from autointerp.core.scores import ScorerResult, Trial
from autointerp.programs.language import parse_program
from autointerp.scorers.scorer_inputs import ScoringSet, predicted_scores


class Programs:
    """Predicts exactly what a program says: ``level / 10`` of the explain set's peak."""

    name = "program"
    prompts: tuple[PromptRef, ...] = ()

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores of the program's activations.

        Raises:
            InputError: the explanation is no program, or its program cannot be read.
        """
        if explanation.program is None:
            msg = f"the explanation {explanation.text!r} is not a program; score it by simulation"
            raise InputError(msg)
        program = parse_program(explanation.program)
        trials = tuple(
            Trial(
                window=record.window,
                stratum=record.stratum,
                weight=record.weight,
                predicted=tuple(
                    level / MAX_LEVEL * windows.peak for level in program.levels(record.tokens)
                ),
                verdict=None,
                probability=None,
                failure=None,
            )
            for record in windows.records
        )
        scores = predicted_scores(windows, trials)
        return ScorerResult(self.name, explanation.text, scores, trials)
