"""Whether survival tells true explanations from false ones, on 24 units that follow a rule.

An LLM writes texts by the true explanation of each unit and by a false one, for every second unit
a near one, and the unit runs them. With ``--llm`` and ``--llm-model`` an endpoint writes; without,
a scripted writer that knows the rules, with which survival has to be 1 and about a half.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _receipt_units import UNITS, ReceiptUnit

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from rule_unit import rule_inputs  # type: ignore[import-not-found]
from text_writer import (  # type: ignore[import-not-found]
    TextWriter,
    around,
    common_words,
)

from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.llm import ChatModel, ScriptedModel
from autointerp.pipeline.receipts import ReceiptsResult, collect_receipts
from autointerp.settings import Settings
from autointerp.wiring.llms import open_llm

SILENT = ("ban cort dusk fin gen", "lort ban cosk dun")


def scripted_writer() -> ChatModel:
    """Writes texts on which the unit is active by true explanations, and chance words by others."""
    fires = {unit.near: common_words for unit in UNITS}
    return ScriptedModel(TextWriter(fires | {unit.true: around(unit.sample) for unit in UNITS}))


def false_explanation(place: int) -> str:
    """The near one of every second unit, else that of a unit that has nothing to do with it."""
    other = UNITS[(place + 7) % len(UNITS)].true
    return UNITS[place].near if place % 2 else other


async def receipts_of(
    unit: ReceiptUnit, text: str, model: ChatModel, n_texts: int
) -> ReceiptsResult:
    """What trying one explanation on one unit came to."""
    inputs, _ = rule_inputs(lambda words: 4.0 * unit.holds(words), [unit.sample, *SILENT])
    explanation = Explanation(text, "token_activation", model.name, None, 0.0, 0)
    return await collect_receipts(
        explanation, inputs, model, ScoreConfig(n_receipts=n_texts), seed=0
    )


def area_under_curve(true: Sequence[float], false: Sequence[float]) -> float:
    """How often a true explanation survives better than a false one; ties count half."""
    pairs = [(a > b) + 0.5 * (a == b) for a in true for b in false]
    return sum(pairs) / len(pairs)


async def table(model: ChatModel, n_units: int, n_texts: int) -> list[str]:
    """A line an explanation, then both kinds together."""
    asked = [
        (place, text)
        for place, unit in enumerate(UNITS[:n_units])
        for text in (unit.true, false_explanation(place))
    ]
    try:
        found = await asyncio.gather(
            *(receipts_of(UNITS[place], text, model, n_texts) for place, text in asked)
        )
    finally:
        await model.close()
    lines, survived = [], {True: list[float](), False: list[float]()}
    for (place, text), result in zip(asked, found, strict=True):
        is_true, score = text == UNITS[place].true, result.survived
        value = score.reason if score.value is None else f"{score.value:.2f}"
        lines.append(f"{place:3d} {'true ' if is_true else 'false'} {value}  {text}")
        if score.value is not None:
            survived[is_true].append(score.value)
    for is_true, values in survived.items():
        if values:
            lines.append(
                f"{'true ' if is_true else 'false'}: n {len(values)}, median {median(values):.3f}, "
                f"{min(values):.2f} to {max(values):.2f}"
            )
    if all(survived.values()):
        lines.append(f"AUC {area_under_curve(survived[True], survived[False]):.3f}")
    tokens = sum(result.n_tokens for result in found) / len(found)
    lines.append(f"tokens an explanation {tokens:.0f}")
    return lines


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", help="base URL of an endpoint; a scripted writer without")
    parser.add_argument("--llm-model", help="its model")
    parser.add_argument("--units", type=int, default=len(UNITS), help="the first so many")
    parser.add_argument("--texts", type=int, default=20, help="written by each explanation")
    options = parser.parse_args()
    model: ChatModel | None = scripted_writer()
    if options.llm:
        job = JobSpec(units="0:0", llm=options.llm, llm_model=options.llm_model)
        model = open_llm(job, Settings())
    if model is None:
        parser.error("--llm none writes no texts; give the base URL of an endpoint")
    print("\n".join(asyncio.run(table(model, options.units, options.texts))))


if __name__ == "__main__":
    main()
