"""What edits of an exemplar say of the tokens that the unit needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rule_unit import COMMON, Rule, rule_inputs

from autointerp.core.sense_types import Receipt, ReceiptKind
from autointerp.pipeline.receipts.short_runs import ShortRuns
from autointerp.pipeline.receipts.tried_exemplars import TriedExemplars, try_exemplars

FILLER = "ban cort dusk"


def tried(rule: Rule, *texts: str, most: int = 160, seed: int = 0) -> TriedExemplars:
    inputs, probe = rule_inputs(rule, texts)
    found = asyncio.run(
        try_exemplars(inputs, ShortRuns(probe, inputs.records, most=most), seed=seed)
    )
    assert sum(probe.batches) <= most
    return found


def edits(found: TriedExemplars, kind: ReceiptKind) -> list[Receipt]:
    return [receipt for receipt in found.receipts if receipt.kind is kind]


def pair(words: Sequence[str]) -> float:
    return 4.0 * (list(words[-2:]) == ["Anglo", "-"])


def test_a_token_that_is_needed_is_named() -> None:
    found = tried(pair, f"{FILLER} Anglo - Afghan")
    assert found.needs == ("needs ' Anglo' before ' -'",)
    [whole] = edits(found, ReceiptKind.SHORTENED)
    assert (whole.text, whole.level, whole.changed) == (" Anglo -", 10.0, "")
    [deleted] = edits(found, ReceiptKind.DELETED)
    assert (deleted.text, deleted.level, deleted.changed) == (" -", 0.0, "' Anglo' -> ''")
    assert {(r.sense, r.expected, r.as_expected) for r in found.receipts} == {(None, None, None)}


def test_any_text_before_a_token_that_needs_none() -> None:
    found = tried(lambda words: 4.0 * (words[-1] == "-"), f"{FILLER} Anglo - Afghan")
    assert found.needs == ("any text before ' -'",)


def test_a_token_that_is_not_needed_itself_is_any() -> None:
    after = tried(lambda words: 4.0 * (list(words[-2:-1]) == ["Anglo"]), f"{FILLER} Anglo - Afghan")
    assert after.needs == ("needs ' Anglo' before any token",)
    anywhere = tried(lambda _: 4.0, f"{FILLER} Anglo - Afghan")
    assert anywhere.needs == ("any text",)


def test_a_token_that_only_begins_texts_needs_their_start() -> None:
    found = tried(lambda words: 4.0 * (list(words) == ["The"]), f"The {FILLER}")
    assert found.needs == ("needs the start of a text before ' The'",)

    def either(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "The" and words[-2:-1] in ([], ["Anglo"]))

    found = tried(either, f"{FILLER} Anglo The cort")
    shown = f"' {FILLER} Anglo'"
    assert found.needs == (f"needs the start of a text or text such as {shown} before ' The'",)


def test_tokens_that_are_needed_together_are_named_in_their_order() -> None:
    def rule(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "to" and list(words[-4:-2]) == ["all", "from"])

    found = tried(rule, f"{FILLER} all from ban to cort")
    assert found.needs == ("needs ' all from' before ' to'",)

    def apart(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "to" and words[-4:-3] == ["from"] and words[-2:-1] == ["one"])

    found = tried(apart, f"{FILLER} from ban one to cort")
    assert found.needs == ("needs ' from' … ' one' before ' to'",)


def test_of_two_tokens_each_of_which_suffices_single_edits_say_nothing_and_joint_ones_do() -> None:
    def rule(words: Sequence[str]) -> float:
        cues = {"Anglo", "Franco"} & {*words[-4:-1]}
        return 4.0 * (words[-1] == "-" and words[0] == "the") * (len(cues) > 0)

    # The first word holds both in the minimal context.
    found = tried(rule, "the Franco ban Anglo - Afghan")
    assert found.needs == ("needs ' the' before ' -'",)

    def graded(words: Sequence[str]) -> float:
        n = len({"Anglo", "Franco"} & {*words[-4:-1]})
        return {0: 0.0, 1: 2.8, 2: 4.0}[n] if words[-1] == "-" else 0.0

    found = tried(graded, f"{FILLER} Franco ban Anglo - Afghan")
    singles = [r for r in found.receipts if r.changed.startswith(("' Anglo' ->", "' Franco' ->"))]
    assert {r.kind for r in singles} == {
        ReceiptKind.DELETED,
        ReceiptKind.SAME_KIND,
        ReceiptKind.STRANGER,
    }
    assert all(r.level == pytest.approx(7.0) for r in singles)
    assert found.needs == ("needs ' Franco' or ' Anglo' before ' -'",)
    joint = [r for r in found.receipts if r.changed.startswith("' Franco' … ' Anglo' ->")]
    assert {(r.kind, r.level) for r in joint} == {
        (ReceiptKind.STRANGER, 0.0),
        (ReceiptKind.DELETED, 0.0),
    }


def test_a_token_without_which_the_unit_fires_is_not_needed_though_strangers_disturb() -> None:
    calm = {"ban", "cort", "dusk", "-"}

    def disturbed(words: Sequence[str]) -> float:
        length = min(3, len(words))
        return {1: 0.0, 2: 2.0, 3: 4.0}[length] * (words[-1] == "-" and {*words[-3:]} <= calm)

    found = tried(disturbed, f"{FILLER} -")
    assert found.needs == ("needs text such as ' cort dusk' before ' -'",)

    def third(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "-" and words[-3:-2] == ["Anglo"])

    # Without "ban" the cue stands where the unit does not look for it.
    assert tried(third, "cort Anglo ban -").needs == ("needs ' Anglo' before ' -'",)


def test_a_token_that_hardly_matters_is_not_named_beside_one_that_does() -> None:
    def rule(words: Sequence[str]) -> float:
        cued = 4.0 if words[-2:-1] == ["can"] else 1.4
        return (cued - 1.0 * ("reader" not in words)) * (words[-1] == "try" and len(words) > 1)

    # Either alone leaves a third or more, and both together less.
    found = tried(rule, f"{FILLER} reader can try")
    assert found.needs == ("needs text such as ' reader can' before ' try'",)


def test_of_distant_tokens_that_serve_for_each_other_the_text_is_shown() -> None:
    cues = ("Ada", "Bob", "Cid", "Dan")

    def rule(words: Sequence[str]) -> float:
        n = len({*cues} & {*words[:-6]})
        return min(4.0, 1.3 * n + 0.5 * (n > 1)) if words[-1] == "-" else 0.0

    found = tried(rule, f"Ada Bob Cid Dan {FILLER} ban ban -")
    assert found.needs == ("needs text such as ' Bob Cid Dan' before ' -'",)


def test_of_many_tokens_any_two_of_which_suffice_the_whole_text_is_named() -> None:
    cues = ("Ada", "Bob", "Cid", "Dan")

    def rule(words: Sequence[str]) -> float:
        n = len({*cues} & {*words[:-1]})
        return min(4.0, 1.3 * n + 0.5 * (n > 1)) if words[-1] == "-" else 0.0

    found = tried(rule, f"{FILLER} Ada Bob Cid Dan - cort")
    assert found.needs == ("needs text such as ' Bob Cid Dan' before ' -'",)


def test_a_token_that_stands_far_ahead_is_found() -> None:
    def rule(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "-" and "Anglo" in words[-13:-10] and "Cid" in words)

    found = tried(rule, f"{FILLER} Anglo ban {FILLER} {FILLER} {FILLER} Cid - cort")
    assert found.needs == ("needs ' Anglo' … ' Cid' before ' -'",)


def test_sentences_of_several_exemplars_stand_once_each() -> None:
    def rule(words: Sequence[str]) -> float:
        return 4.0 * (list(words[-2:]) in (["Anglo", "-"], ["Franco", "-"], ["very", "good"]))

    found = tried(rule, "ban Anglo -", "ban Franco -", "dusk Anglo -", "very good")
    assert found.needs == (
        "needs ' Anglo' before ' -'",
        "needs ' very' before ' good'",
        "needs ' Franco' before ' -'",
    )


def test_strangers_are_no_tokens_of_the_exemplars_and_kin_is_of_the_same_form() -> None:
    found = tried(pair, f"{FILLER} Anglo - Afghan", "Bob Cid ban", "Bob ban Ada")
    strangers = [r.changed.split(" -> ")[1] for r in edits(found, ReceiptKind.STRANGER)]
    assert strangers
    assert not any(word in stranger for word in FILLER.split() for stranger in strangers)
    kin = {r.changed for r in edits(found, ReceiptKind.SAME_KIND) if "Anglo" in r.changed}
    assert kin <= {f"' Anglo' -> ' {name}'" for name in ("Bob", "Cid", "Ada", "Afghan")}
    assert kin


def test_the_same_seed_draws_the_same_edits_and_another_others() -> None:
    text = f"{FILLER} Anglo - Afghan"
    assert tried(pair, text) == tried(pair, text)
    assert tried(pair, text) != tried(pair, text, seed=1)


@pytest.mark.parametrize("most", [0, 1, 5, 9, 12, 20, 40])
def test_short_of_runs_it_says_less_and_nothing_wrong(most: int) -> None:
    texts = [f"{FILLER} {name} - cort" for name in ("Anglo", "Franco", "Indo")]

    def rule(words: Sequence[str]) -> float:
        return 4.0 * (words[-1] == "-" and words[-2:-1] in (["Anglo"], ["Franco"], ["Indo"]))

    known = {f"needs ' {name}' before ' -'" for name in ("Anglo", "Franco", "Indo")}
    assert {*tried(rule, *texts, most=most).needs} <= known


def test_without_any_other_token_nothing_is_replaced() -> None:
    inputs, probe = rule_inputs(pair, ["Anglo -"], n_filler=0)
    found = asyncio.run(try_exemplars(inputs, ShortRuns(probe, inputs.records), seed=0))
    assert found.needs == ()
    assert {r.kind for r in found.receipts} == {ReceiptKind.SHORTENED, ReceiptKind.DELETED}


def test_quotes_line_breaks_and_lone_bytes_can_be_read() -> None:
    from autointerp.pipeline.receipts.needs import quoted_text

    shown = [quoted_text(text) for text in (" it's", ' say "x"', "\n", "\\xe6", " é")]
    assert shown == ['" it\'s"', "' say \"x\"'", r"'\n'", r"'\xe6'", "' é'"]


def test_no_exemplar_no_receipt() -> None:
    assert tried(pair, FILLER) == TriedExemplars()
    assert replace(tried(pair), notes=()) == TriedExemplars()
    assert len(COMMON) > 10
