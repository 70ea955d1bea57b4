"""Detection (Paulo et al. 2024): does the explanation say which windows activate strongly?

A window counts as activating where its peak reaches half of the explain set's, or the lower level
that three windows of twelve or more reach: in gated MLPs nearly every window activates a little, so
a threshold at zero would leave no negatives, and one text may be so far above all others that
nothing reaches half of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from autointerp.core.characters import join_tokens, whole_characters
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import ScorerResult
from autointerp.core.text import quoted
from autointerp.core.token_bars import barred
from autointerp.llm import ChatModel, ChatRequest, PromptTooLongError
from autointerp.llm.reply_formats import array_schema, chat_request, in_turn, object_schema
from autointerp.llm.wrapped_model import why_refused
from autointerp.scorers.llm_judge import PromptedScorer, ask_all, ask_one, trials_of, yes_no_request
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, window_calls
from autointerp.scorers.verdict_replies import Verdict, read_booleans, read_yes_no
from autointerp.scorers.window_verdicts import peak_scores, what_activates

VERSION, SMALL_VERSION = "v4", "v3"
"""Of both prompts: they name the level from which a window activates. v4 shows how words are split,
which small models do not get."""


class Detection(PromptedScorer):
    """Asks of every held-out window whether the unit is strongly active somewhere in it."""

    name = "detection"

    def __init__(self, model: ChatModel, *, windows_per_call: int = 1) -> None:
        prompt = "detect" if windows_per_call == 1 else "detect_many"
        small = model.features.small
        super().__init__(model, prompt, version=SMALL_VERSION if small else VERSION)
        self._per_call, self._with_bars = windows_per_call, not small

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Balanced accuracy and F1; AUROC and AUPRC where the endpoint gives probabilities."""
        answers = await self.answers(explanation.text, windows)
        trials = trials_of(windows, answers)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=peak_scores(windows, trials),
            trials=trials,
            notes=(what_activates(windows),),
        )

    async def answers(self, explanation: str, windows: ScoringSet) -> list[Verdict]:
        """One answer for each window, in their order."""

        async def ask(batch: Sequence[ActivationRecord]) -> list[Verdict]:
            return await self._ask(explanation, batch, windows)

        return await ask_all(ask, windows, self._per_call, self.name)

    async def _ask(
        self, explanation: str, batch: Sequence[ActivationRecord], windows: ScoringSet
    ) -> list[Verdict]:
        if self._per_call == 1:
            turns = self._template.render(
                explanation=explanation, text=self._shown(batch[0]), level=str(windows.strong_level)
            )
            request = yes_no_request(self._model, turns, fresh=windows.fresh)
            return [await ask_one(self._model, request, read_yes_no)]
        try:
            reply = await self._model.reply(self._list_request(explanation, batch, windows))
        except RequestRefusedError as error:
            if isinstance(error, PromptTooLongError) and len(batch) > 1:
                raise
            return [Verdict(failure=why_refused(error))] * len(batch)
        return read_booleans(reply, len(batch))

    def _shown(self, record: ActivationRecord) -> str:
        if not self._with_bars:
            return text_of(record)
        return barred(whole_characters(record.tokens, record.activations)[0])

    def _list_request(
        self, explanation: str, batch: Sequence[ActivationRecord], windows: ScoringSet
    ) -> ChatRequest:
        texts = "\n".join(f"{i}: {self._shown(record)}" for i, record in enumerate(batch, 1))
        n = len(batch)
        answers = array_schema({"type": "boolean"}, least=n, most=n)
        grammar = f'root ::= "{{\\"active\\": [" {in_turn(["b"] * n)} "]}}"\nb ::= "true" | "false"'
        return chat_request(
            self._model.features,
            self._template.render(
                explanation=explanation, texts=texts, level=str(windows.strong_level)
            ),
            max_tokens=24 + 3 * n,
            schema=object_schema("active", {"active": answers}),
            grammar=grammar,
            logprobs=True,
            fresh=windows.fresh,
        )


def text_of(record: ActivationRecord) -> str:
    """The window as a JSON string, so that no text can pass for the question around it."""
    return quoted(join_tokens(record.tokens))


SPEC = ScorerSpec(
    name=Detection.name,
    build=lambda d: Detection(d.model, windows_per_call=d.config.windows_per_call),
    headline="balanced_accuracy",
    calls=window_calls(
        "detect", list_prompt="detect_many", version=VERSION, small_version=SMALL_VERSION
    ),
    judges_windows=True,
)
