"""What judges of a blinded study found, by arm and layer, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from autointerp.core.blind_study import Answer, ItemKey, ItemVerdict
from autointerp.core.study_report import (
    Asked,
    Cell,
    Column,
    Series,
    StudyChart,
    StudyReport,
    StudyTable,
    StudyValue,
)
from autointerp.statistics.closed_form_intervals import wilson_interval
from autointerp.statistics.studies.agreement import JudgeAgreement, agreement
from autointerp.statistics.studies.shares import SharesOfTwo
from autointerp.wiring.solu_groups import Judged, compared_groups, group, judged

_CONFIDENCE = 0.95
_CHANCE = 0.05
_ALIKE = ({"pre"}, {"mid"}, {"post"}, {"mid", "post"})
_NOTES = (
    "A unit counts where one rule covers at least 80 % of its strongest firings in documents held "
    "out, one a window (Elhage et al. 2022, Softmax Linear Units).",
    "The judge `rules` tries single tokens, words, ends of words, kinds of tokens, and words "
    "before, which it learns on other documents; a rule that holds at more than 10 % of all tokens "
    "counts for nothing. It knows no themes, so that its shares are lower bounds.",
    "Judges saw the items of all groups in one shuffled order, without model, layer or unit.",
    "Shares leave out items of which a judge was not sure; those are counted beside.",
    "Intervals of shares are Wilson's. Two models are compared within layers, of which units are "
    "drawn alike: Newcombe's interval (1998, method 10), and a p-value by dealing the units of a "
    "layer out anew between both. Two sites of one model are compared on the units that were "
    "judged at both: Newcombe's interval for pairs, and McNemar's exact test. A p-value is that of "
    "its own comparison, however many there are.",
)


def solu_report(  # noqa: PLR0913 - what is told
    *,
    asked: Mapping[str, Asked],
    keys: Mapping[str, ItemKey],
    verdicts: Sequence[ItemVerdict],
    silent: Mapping[str, int],
    failed: Mapping[str, int],
    seed: int,
    provenance: Mapping[str, str],
) -> StudyReport:
    """The report of all verdicts that there are.

    Args:
        asked: what was asked for, by the names of the options.
        keys: what each item is of.
        verdicts: of all judges.
        silent: units that fire too seldom, by arm.
        failed: items of which a judge gave no verdict because of a failure, by judge.
        seed: of what is drawn.
        provenance: what the items were made from.
    """
    arms = list(dict.fromkeys(key.arm for key in keys.values()))
    judges = list(dict.fromkeys(verdict.judge for verdict in verdicts))
    by_judge = {judge: judged(verdicts, judge) for judge in judges}
    compared = {
        (judge, a, b): two
        for judge in judges
        for a, b in combinations(arms, 2)
        if (two := compared_groups(by_judge[judge], keys, (a, b), seed)) is not None
    }
    agreed = {
        (one, other): _agreement(by_judge[one], by_judge[other], seed)
        for one, other in combinations(judges, 2)
    }
    return StudyReport(
        kind="solu",
        title=f"Neurons that one rule explains: {', '.join(arms)}",
        asked=asked,
        paragraphs=tuple(_sentences(judges, arms, by_judge, keys, compared, agreed, failed)),
        tables=(
            _shares_table(judges, arms, verdicts, keys, silent),
            _differences_table(compared),
            *([_agreement_table(agreed)] if agreed else []),
            _layers_table(judges, arms, by_judge, keys),
            _rules_table(verdicts, keys),
        ),
        charts=(_shares_chart(judges, arms, by_judge, keys),),
        notes=_NOTES,
        seed=seed,
        provenance=provenance,
    )


def _agreement(one: Judged, other: Judged, seed: int) -> JudgeAgreement | None:
    both = sorted(one.keys() & other.keys())
    return agreement([(one[item], other[item]) for item in both], seed=seed)


def _share(answers: Sequence[bool]) -> StudyValue | None:
    if not answers:
        return None
    n_yes = sum(answers)
    low, high = wilson_interval(n_yes, len(answers), confidence=_CONFIDENCE)
    return StudyValue(n_yes / len(answers), low, high)


def _sentences(  # noqa: PLR0913 - all that was found
    judges: Sequence[str],
    arms: Sequence[str],
    by_judge: Mapping[str, Judged],
    keys: Mapping[str, ItemKey],
    compared: Mapping[tuple[str, str, str], SharesOfTwo],
    agreed: Mapping[tuple[str, str], JudgeAgreement | None],
    failed: Mapping[str, int],
) -> list[str]:
    said = []
    for judge in judges:
        shares = [
            f"{_per_cent(sum(yes for _, yes in own) / len(own))} of {len(own)} ({arm})"
            for arm in arms
            if (own := group(by_judge[judge], keys, arm))
        ]
        told = f"Judged by {judge}, one rule covers {'; '.join(shares)}."
        for (who, a, b), two in compared.items():
            if who == judge and (a, b) in _told_pairs(arms, keys):
                sure = "" if two.p_value < _CHANCE else ", which may be chance"
                told += (
                    f" {a} less {b}: {100 * two.difference:+.0f} points "
                    f"[{100 * two.low:+.0f}, {100 * two.high:+.0f}], p = {two.p_value:.2g}{sure}."
                )
        said.append(told)
    for (one, other), how in agreed.items():
        if how is None:
            said.append(f"The judges {one} and {other} judged no item in common.")
        elif how.kappa is None:
            said.append(
                f"The judges {one} and {other} always say the same thing: kappa is undefined."
            )
        else:
            said.append(
                f"The judges {one} and {other} agree on {_per_cent(how.share)} of {how.n} items, "
                f"kappa {how.kappa:.2f} [{how.low:.2f}, {how.high:.2f}]."
            )
    said += [
        f"{judge} gave no verdict on {n} items because of failures; run again to ask once more."
        for judge, n in failed.items()
        if n
    ]
    return said or ["No item has a verdict yet."]


def _told_pairs(arms: Sequence[str], keys: Mapping[str, ItemKey]) -> set[tuple[str, str]]:
    """Of two models those at one site, and where both are read by default; of one model all."""
    models = {key.arm: key.unit.subject for key in keys.values()}
    pairs = set(combinations(arms, 2))
    told = {(a, b) for a, b in pairs if models[a] != models[b] and {_site(a), _site(b)} in _ALIKE}
    return told or pairs


def _site(arm: str) -> str:
    return arm.rpartition(" ")[2]


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _shares_table(
    judges: Sequence[str],
    arms: Sequence[str],
    verdicts: Sequence[ItemVerdict],
    keys: Mapping[str, ItemKey],
    silent: Mapping[str, int],
) -> StudyTable:
    rows = list[tuple[Cell, ...]]()
    for judge in judges:
        for arm in arms:
            own = [v.answer for v in verdicts if v.judge == judge and keys[v.item].arm == arm]
            sure = [answer is Answer.YES for answer in own if answer is not Answer.UNSURE]
            unsure = len(own) - len(sure)
            rows.append((judge, arm, _share(sure), len(sure), unsure, silent.get(arm, 0)))
    columns = (
        *(Column("judge", "text"), Column("group", "text"), Column("one rule", "share")),
        *(Column("judged", "count"), Column("not sure", "count"), Column("too seldom", "count")),
    )
    caption = "Too seldom: drawn, and active in fewer than 5 windows of either half of the text."
    return StudyTable("Share of units that one rule covers", columns, tuple(rows), caption)


def _differences_table(compared: Mapping[tuple[str, str, str], SharesOfTwo]) -> StudyTable:
    rows = tuple(
        (judge, f"{a} less {b}", StudyValue(two.difference, two.low, two.high), two.p_value)
        for (judge, a, b), two in compared.items()
    )
    columns = (
        *(Column("judge", "text"), Column("groups", "text")),
        *(Column("difference", "signed"), Column("p", "short")),
    )
    return StudyTable("Differences of the shares", columns, rows)


def _agreement_table(agreed: Mapping[tuple[str, str], JudgeAgreement | None]) -> StudyTable:
    rows = tuple(
        (f"{one}, {other}", 0, None, None)
        if how is None
        else (
            f"{one}, {other}",
            how.n,
            how.share,
            None if how.kappa is None else StudyValue(how.kappa, how.low, how.high),
        )
        for (one, other), how in agreed.items()
    )
    columns = (
        *(Column("judges", "text"), Column("items", "count")),
        *(Column("agree", "share"), Column("kappa", "number")),
    )
    caption = "Cohen's kappa: 0 is chance, 1 the same on every item."
    return StudyTable("Agreement of judges", columns, rows, caption)


def _layers_table(
    judges: Sequence[str],
    arms: Sequence[str],
    by_judge: Mapping[str, Judged],
    keys: Mapping[str, ItemKey],
) -> StudyTable:
    rows = list[tuple[Cell, ...]]()
    for judge in judges:
        groups = {arm: group(by_judge[judge], keys, arm) for arm in arms}
        for layer in sorted({layer for own in groups.values() for layer, _ in own}):
            shares = (_share([yes for n, yes in groups[arm] if n == layer]) for arm in arms)
            rows.append((judge, layer, *shares))
    columns = (
        *(Column("judge", "text"), Column("layer", "count")),
        *(Column(arm, "share") for arm in arms),
    )
    return StudyTable("By layer", columns, tuple(rows))


def _rules_table(verdicts: Sequence[ItemVerdict], keys: Mapping[str, ItemKey]) -> StudyTable:
    rows = tuple(
        (
            *(key.arm, f"{key.layer}:{key.unit.index}", verdict.judge, str(verdict.answer)),
            *(verdict.n_covered, verdict.rule or "none"),
        )
        for verdict in sorted(verdicts, key=lambda v: (_order(keys[v.item]), v.judge))
        if (key := keys[verdict.item])
    )
    columns = (
        *(Column("group", "text"), Column("unit", "text"), Column("judge", "text")),
        *(Column("verdict", "text"), Column("covers", "count"), Column("rule", "text")),
    )
    return StudyTable("Every verdict", columns, rows)


def _order(key: ItemKey) -> tuple[str, int, int]:
    return key.arm, key.layer, key.unit.index


def _shares_chart(
    judges: Sequence[str],
    arms: Sequence[str],
    by_judge: Mapping[str, Judged],
    keys: Mapping[str, ItemKey],
) -> StudyChart:
    series = tuple(
        Series(
            judge,
            tuple(_share([yes for _, yes in group(by_judge[judge], keys, arm)]) for arm in arms),
        )
        for judge in judges
    )
    title = "Share of units that one rule covers, by judge"
    return StudyChart(title, "bars", "group", tuple(arms), series, "share")
