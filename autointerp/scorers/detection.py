"""Detection (Paulo et al. 2024): does the explanation say which windows activate strongly?

A window counts as activating where its peak reaches half of the explain set's: in gated MLPs
nearly every window activates a little, so a threshold at zero would leave no negatives.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import replace

from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Message
from autointerp.scorers.evidence import ScoringSet
from autointerp.scorers.verdicts import auroc, balanced_accuracy
from autointerp.templates import load_template

__all__ = ["Detection"]

STRONG = 0.5
_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


class Detection:
    """Asks yes or no for each held-out window."""

    name = "detection"

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._template = load_template("detect", "v1")

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The detection prompt."""
        return (self._template.ref,)

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Balanced accuracy, and AUROC where the endpoint gives probabilities."""
        asked = [
            self._trial(explanation.text, record, fresh=windows.fresh) for record in windows.records
        ]
        trials = tuple(await asyncio.gather(*asked))
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=_scores(windows, trials),
            trials=trials,
            notes=(f"a window activates where its peak is at least {STRONG:.0%} of the greatest",),
        )

    async def _trial(self, explanation: str, record: ActivationRecord, *, fresh: bool) -> Trial:
        verdict, probability, failure = None, None, None
        try:
            request = self._request(explanation, "".join(record.tokens))
            reply = await self._model.reply(replace(request, fresh=fresh))
            match = _ANSWER.match(reply.text)
            if match is None:
                failure = f"neither yes nor no: {reply.text[:40]!r} ({reply.finish_reason})"
            else:
                verdict = match[1].lower() == "yes"
                probability = _yes_probability(reply)
        except RequestRefusedError as error:
            failure = f"refused: {error}"
        return Trial(
            window=record.window,
            stratum=record.stratum,
            weight=record.weight,
            predicted=None,
            verdict=verdict,
            probability=probability,
            failure=failure,
        )

    def _request(self, explanation: str, text: str) -> ChatRequest:
        features = self._model.features
        # As a JSON string, so that no text can pass for the question that follows it.
        quoted = json.dumps(text, ensure_ascii=False)
        turns = self._template.render(explanation=explanation, text=quoted)
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=8,
            grammar='root ::= "yes" | "no"' if features.grammar else None,
            top_logprobs=min(20, features.max_top_logprobs) if features.logprobs else 0,
        )


def _yes_probability(reply: ChatReply) -> float | None:
    for choice in reply.tokens or ():
        if choice.token.strip().lower() in {"yes", "no"}:
            mass = {"yes": 0.0, "no": 0.0}
            for token, logprob in choice.alternatives:
                word = token.strip().lower()
                if word in mass:
                    mass[word] += math.exp(logprob)
            total = sum(mass.values())
            return mass["yes"] / total if total > 0 else None
    return None


def _scores(windows: ScoringSet, trials: tuple[Trial, ...]) -> tuple[Score, ...]:
    peaks = {record.window: record.peak(windows.side) for record in windows.records}
    judged = [trial for trial in trials if trial.verdict is not None]
    truths = [peaks[trial.window] >= STRONG * windows.peak for trial in judged]
    strata = [trial.stratum for trial in judged]
    verdicts = [bool(trial.verdict) for trial in judged]
    accuracy = balanced_accuracy(verdicts, truths, windows.resampling, strata=strata)
    known = [trial.probability for trial in judged if trial.probability is not None]
    if len(known) < len(judged):
        return (accuracy, Score.undefined("auroc", "the endpoint gives no log-probabilities"))
    return (accuracy, auroc(known, truths, windows.resampling, strata=strata))
