"""Windows of a unit that fires on months, and scripted LLMs that judge explanations of it.

An explanation is the name of a concept; the LLM that knows looks for the concept's words in
whatever text it is shown, the one that guesses does not look.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Sequence

from factories import make_unit

from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, Stratum
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatRequest, Handler
from autointerp.scorers import Scorer, ScoringSet

CONCEPTS = {
    "months": {"May", "June", "July"},
    "rivers": {"Rhine", "Nile"},
    "stones": {"flint", "slate"},
    "nothing": {"xyzzy"},
}
RIGHT, WRONG = "months", ("rivers", "stones", "nothing")
BAD_REPLIES = (
    "",
    "I'm sorry, I can't help with that.",
    "<think>months, perhaps",
    '{"rows": 3}',
    '{"active": "yes"',
    "[[[[",
)
_FILL = ("the", "of", "and", "water", "cold", "ran", "old", "wide")
_DRAWN = {"top": (12, 4.0, 30), "band0": (10, 3.0, 300), "silent": (18, 0.0, 3000)}


def saying(text: str) -> Explanation:
    """An explanation of that text."""
    return Explanation(text, "token_activation", "scripted", None, 0.0, 0)


def make_windows(*, seed: int = 0, others: Sequence[str] = ()) -> ScoringSet:
    """Forty windows of twelve tokens; the unit is at 4 or 3 on months and silent elsewhere."""
    rng = random.Random(seed)
    records: list[ActivationRecord] = []
    for name, (n, height, size) in _DRAWN.items():
        for _ in range(n):
            words = rng.choices(_FILL, k=12)
            for at, concept in zip(rng.sample(range(12), 3), ("rivers", "stones"), strict=False):
                if rng.random() < 0.5:
                    words[at] = rng.choice(sorted(CONCEPTS[concept]))
            if height:
                words[rng.randrange(12)] = rng.choice(sorted(CONCEPTS["months"]))
            tokens = tuple(f" {word}" for word in words)
            real = tuple(height if word in CONCEPTS["months"] else 0.0 for word in words)
            records.append(_record(len(records), tokens, real, name, size / n))
    strata = tuple(
        Stratum(name, size, n, height, height) for name, (n, height, size) in _DRAWN.items()
    )
    return ScoringSet(
        unit=make_unit(),
        side=Side.POSITIVE,
        records=tuple(records),
        strata=strata,
        peak=4.0,
        seed=seed,
        n_bootstrap=200,
        others=tuple(saying(text) for text in others),
    )


def _record(
    window: int, tokens: tuple[str, ...], real: tuple[float, ...], stratum: str, weight: float
) -> ActivationRecord:
    ids = tuple(range(len(tokens)))
    return ActivationRecord(window, f"{window:016x}", 0, ids, tokens, real, stratum, weight)


def judge(scorer: Scorer, explanation: str, windows: ScoringSet) -> ScorerResult:
    """What the scorer says of the explanation; every question is judged or failed."""
    result = asyncio.run(scorer.score(saying(explanation), windows))
    assert result.n_asked == result.n_judged + result.n_failed
    return result


def rendered(request: ChatRequest) -> str:
    """The whole prompt, as golden files hold it."""
    return "\n".join(f"=== {m.role}\n{m.content}" for m in request.messages) + "\n"


def knows(request: ChatRequest) -> str:
    """Answers every kind of question by looking for the words of the concept."""
    asked = request.messages[-1].content
    if asked.startswith("Phrases:"):
        return _choose(asked)
    words = CONCEPTS[re.findall(r"^Neuron: (.*)$", asked, re.MULTILINE)[0]]
    if "marked" in asked:
        left, right, text = re.findall(r"between (\S+) and (\S+): (\".*\")$", asked, re.M)[0]
        marked = re.findall(rf"{re.escape(left)}(.*?){re.escape(right)}", json.loads(text))
        return "yes" if all(token.strip() in words for token in marked) else "no"
    if "Text 1\n" in asked:
        return _levels(asked, words, sparse="\n0: " in asked)
    texts = [json.loads(text) for text in re.findall(r"^\w+: (\".*\")$", asked, re.MULTILINE)]
    found = [bool(words & set(text.split())) for text in texts]
    return json.dumps({"active": found}) if "\n1: " in asked else ("no", "yes")[found[0]]


def guesses(seed: int) -> Handler:
    """Answers yes or no at random, the same for the same question."""

    def handler(request: ChatRequest) -> str:
        asked = request.messages[-1].content
        rng = random.Random(f"{seed}{asked}")
        n = len(re.findall(r"^\d+: ", asked, re.MULTILINE))
        if asked.startswith("Phrases:"):
            return str(rng.randint(1, n))
        if n:
            return json.dumps({"active": [rng.random() < 0.5 for _ in range(n)]})
        return rng.choice(("yes", "no"))

    return handler


def _choose(asked: str) -> str:
    phrases = dict(re.findall(r"^(\d+): \"(.*)\"$", asked, re.MULTILINE))
    texts = "".join(re.findall(r"^\".*\"$", asked, re.MULTILINE))
    marked = {token.strip() for token in re.findall(r"<<(.*?)>>", texts)}
    fitting = [number for number, text in phrases.items() if marked <= CONCEPTS[text]]
    return fitting[0] if fitting else "1"


def _levels(asked: str, words: set[str], *, sparse: bool) -> str:
    reply: dict[str, list[list[int]]] = {}
    for number, rows in re.findall(r"Text (\d+)\n((?:\d+: .*\n?)+)", asked):
        cells = [json.loads(f"[{row}]") for row in re.findall(r"\d+: (.*)", rows)]
        levels = [[10 if token.strip() in words else 0 for token in row] for row in cells]
        flat = [level for row in levels for level in row]
        reply[number] = [[i, k] for i, k in enumerate(flat) if k] if sparse else levels
    return json.dumps(reply)
