"""The LLM's explanation beside the rules, its senses and receipts, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, interval, number, short, visible
from autointerp.core.explanations import Explanation, Label, ScoredExplanation
from autointerp.core.records import MAX_LEVEL
from autointerp.core.scores import Score
from autointerp.core.sense_types import (
    FIRES,
    MARGINS,
    SILENT,
    Receipt,
    Sense,
    SenseScore,
    survivors,
)

_N_RECEIPTS, _WIDE = 3, 64
_N_RULES = 3
_EXPECTED = {True: "fires", False: "silent", None: "-"}
_SCALE = (
    f"level {FIRES:g} and more is firing, or half of what a sense expects where that is less; "
    f"below {SILENT:g} silent"
)
_VERDICTS = {False: "failed", True: "as expected", None: "nothing expected"}


def both_explanations(label: Label) -> list[tuple[str, ScoredExplanation]]:
    """The LLM's and the rules, whichever there are, that which describes the unit first."""
    pairs = (("LLM", label.llm), ("rules", label.rules))
    both = [(name, scored) for name, scored in pairs if scored is not None]
    return sorted(both, key=lambda pair: pair[1].explanation != label.explanation)


def numbered_text(label: Label, explanation: Explanation) -> Text:
    """The text, or its senses as a numbered list with their shares of the activation."""
    if len(explanation.senses) < 2:
        doubtful = any(score and score.doubt for _, score in _senses(label, explanation))
        return Text(visible(explanation.text)).append(" (doubtful)" if doubtful else "", "dim")
    lines = []
    for n, (sense, score) in enumerate(_senses(label, explanation), 1):
        facts = [f"{score.mass.value:.0%}"] if score and score.mass.value is not None else []
        facts += ["doubtful"] if score and score.doubt else []
        line = Text(f"{n}. {visible(sense.description)}")
        lines.append(line.append(f" ({', '.join(facts)})" if facts else "", "dim"))
    return Text("\n").join(lines)


def text_with_senses(explanation: Explanation) -> Text:
    """The text, or its senses, each with its kind and level; several are numbered."""
    senses = explanation.senses
    lines = []
    for n, sense in enumerate(senses, 1):
        number_of = f"{n}. " if len(senses) > 1 else ""
        line = Text(f"{number_of}{visible(sense.description)}")
        rules = f", {counted(len(sense.rules), 'rule')}" if sense.rules else ""
        lines.append(line.append(f" ({_kind_and_level(sense)}{rules})", "dim"))
    return Text("\n").join(lines) if lines else Text(visible(explanation.text))


def llm_facts(label: Label) -> list[str]:
    """What the LLM's explanation is worth beside its score, and what its unit needs, in phrases."""
    added, survived = label.score_of(label.llm, "added"), _survived(label)
    facts = [] if added.value is None else [f"adds {_signed(added)} to the tokens"]
    return [*facts, *([survived] if survived else []), *map(visible, label.needs[:1])]


def explanation_parts(label: Label, *, shown: bool, full: bool) -> Iterator[RenderableType]:
    """Both explanations with their scores; without the one's text that is shown already.

    All rules of senses with `full`, else the first few.
    """
    for name, scored in both_explanations(label):
        explanation = scored.explanation
        title = Text(f"\n{name}", "bold underline")
        origin = ", ".join(filter(None, (explanation.explainer, explanation.model)))
        title.append(f"  {visible(origin)}: ", "not bold not underline dim")
        yield title.append("; ".join(_score_facts(label, scored)), "not bold not underline")
        if len(explanation.senses) > 1:
            yield _sense_grid(label, explanation, full=full)
            continue
        if not shown or explanation != label.explanation:
            yield Text(visible(explanation.text), "italic")
        for _, score in _senses(label, explanation):
            if score is not None and score.doubt is not None:
                yield Text(f"doubtful: {visible(score.doubt)}", "dim")


def _score_facts(label: Label, scored: ScoredExplanation) -> Iterator[str]:
    yield interval(label.score_of(scored))
    null, added, mass = (
        label.score(f"{scored.scorer}_null"),
        *(label.score_of(scored, name) for name in ("added", "mass_explained")),
    )
    if null.value is not None:
        yield f"another unit's {number(null.value)}"
    if added.value is not None:
        yield f"adds {_signed(added)} to the tokens"
    if mass.value is not None:
        yield f"accounts for {_share(mass)} of the activation"


def receipt_parts(label: Label, width: int, *, full: bool) -> Iterator[RenderableType]:
    """How the LLM's explanation was tried on the subject model, what failed first."""
    if label.receipts or label.needs:
        title = Text("\nreceipts", "bold underline")
        facts = [*filter(None, [_survived(label)]), *_margins(label)]
        title.append(f"  {'; '.join(facts)}", "not bold not underline")
        yield title.append(f"  {_SCALE}", "not bold not underline dim")
    for sentence in label.needs:
        yield Text(visible(sentence))
    for verdict in _VERDICTS if full else (False,):
        receipts = [r for r in label.receipts if r.as_expected is verdict]
        shown = receipts if full else receipts[:_N_RECEIPTS]
        if receipts:
            rest = f"{len(shown)} of {len(receipts)}, --full for all"
            n = rest if len(shown) < len(receipts) else str(len(receipts))
            yield Text(f"{_VERDICTS[verdict]} ({n})", "bold")
            yield _receipt_grid(shown, label, wide=width >= _WIDE)


def explanations_json(label: Label) -> dict[str, object]:
    """The LLM's explanation and the rules for ``--json``, with every score of either."""
    llm, (n_survived, n) = label.llm, survivors(label.receipts)
    survived = label.score_of(llm, "survived")
    return {
        "llm": llm and _scored_json(label, llm),
        "rules": label.rules and _scored_json(label, label.rules),
        "senses": [
            asdict(sense) | (asdict(score) if score else {})
            for sense, score in (_senses(label, llm.explanation) if llm else ())
        ],
        "receipts": {
            "n": n,
            "n_survived": n_survived,
            "low": survived.low,
            "high": survived.high,
            **{name: _score_json(label.score_of(llm, name)) for name in MARGINS},
            "failed": [asdict(r) for r in label.receipts if r.as_expected is False],
        },
        "needs": list(label.needs),
    }


def _scored_json(label: Label, scored: ScoredExplanation) -> dict[str, object]:
    explanation, result = scored.explanation, label.result(scored.scorer)
    null = label.result(f"{scored.scorer}_null")
    return {
        "explanation": explanation.text,
        "explainer": explanation.explainer,
        "model": explanation.model,
        "scorer": scored.scorer,
        "scores": {score.name: _score_json(score) for score in (result.scores if result else ())},
        "null": {score.name: _score_json(score) for score in (null.scores if null else ())},
    }


def _score_json(score: Score) -> dict[str, object]:
    names = ("value", "low", "high", "n_windows", "reason")
    return {name: getattr(score, name) for name in names}


def _senses(label: Label, explanation: Explanation) -> list[tuple[Sense, SenseScore | None]]:
    """The senses with their scores, which only those of the LLM's best explanation have.

    A text of one piece that was scored as a sense is one.
    """
    is_scored = label.llm is not None and label.llm.explanation == explanation
    scores = label.sense_scores if is_scored else ()
    senses = explanation.senses or ((Sense(explanation.text, MAX_LEVEL),) if scores else ())
    return list(zip_longest(senses, scores[: len(senses)]))


def _survived(label: Label) -> str | None:
    """``survived 17 of 20 [0.64, 0.95]``; None where nothing was expected of any receipt."""
    n_survived, n = survivors(label.receipts)
    score = label.score_of(label.llm, "survived")
    ends = "" if score.low is None else f" [{number(score.low)}, {number(score.high)}]"
    return f"survived {n_survived} of {n}{ends}" if n else None


def _margins(label: Label) -> Iterator[str]:
    """``+0.12 [+0.02, +0.20] over a broader rewrite``."""
    for name in MARGINS:
        score = label.score_of(label.llm, name)
        if score.value is not None:
            yield f"{_signed(score)} over a {name.removeprefix('over_')} rewrite"


def _signed(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "-" if score.value is None else f"{score.value:+.2f}"
    return f"{score.value:+.2f} [{score.low:+.2f}, {score.high:+.2f}]"


def _share(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "-" if score.value is None else f"{score.value:.0%}"
    return f"{score.value:.0%} [{score.low:.0%}, {score.high:.0%}]"


def _sense_grid(label: Label, explanation: Explanation, *, full: bool) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    for n, (sense, score) in enumerate(_senses(label, explanation), 1):
        text = Text(visible(sense.description), "italic")
        text.append(f"\n{'; '.join(_sense_facts(sense, score, full=full))}", "not italic dim")
        share = "" if score is None or score.mass.value is None else f"{score.mass.value:.0%}"
        grid.add_row(f"{n}.", Text(share, "bold"), text)
    return grid


def _sense_facts(sense: Sense, score: SenseScore | None, *, full: bool) -> Iterator[str]:
    yield _kind_and_level(sense)
    if sense.rules:
        shown = sense.rules if full else sense.rules[:_N_RULES]
        rest = len(sense.rules) - len(shown)
        more = f" and {rest} more (--full)" if rest else ""
        yield f"rules {visible(' | '.join(shown))}{more}"
    if score is not None:
        yield f"applies to {counted(score.n_places, 'token')}"
        if score.gain.value is not None:
            yield f"gain {_signed(score.gain)}"
        if score.doubt is not None:
            yield f"doubtful: {visible(score.doubt)}"


def _kind_and_level(sense: Sense) -> str:
    fitted = "" if sense.activation is None else f", fitted {short(sense.activation)}"
    return f"{sense.kind}, level {short(sense.level)}{fitted}"


def _receipt_grid(receipts: Sequence[Receipt], label: Label, *, wide: bool) -> Table:
    several = wide and label.llm is not None and len(label.llm.explanation.senses) > 1
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("kind", no_wrap=True)
    if several:
        table.add_column("sense", justify="right", no_wrap=True)
    if wide:
        table.add_column("expected", no_wrap=True)
    table.add_column("level", justify="right", no_wrap=True)
    table.add_column("text", ratio=1, overflow="fold")
    for receipt in receipts:
        text = Text(visible(receipt.text.strip()))
        text.append(f"  {visible(receipt.changed)}" if receipt.changed else "", "dim")
        sense = "-" if receipt.sense is None else str(receipt.sense + 1)
        cells = [receipt.kind.replace("_", " "), *([sense] if several else [])]
        cells += [_EXPECTED[receipt.expected]] if wide else []
        table.add_row(*cells, f"{receipt.level:.1f}", text)
    return table
