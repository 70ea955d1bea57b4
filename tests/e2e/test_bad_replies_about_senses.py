"""Whatever an LLM says of senses and receipts, the job ends and the label says what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling
from planted_llm import find_active_word

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.sense_types import Receipt, ReceiptKind
from autointerp.llm import ChatRequest
from autointerp.store.labels import FolderLabelStore

_ACTIVE = re.compile(r'-> "\s*(\S+?)" \d')
_ASKED = re.compile(r"\((\d+) fires, (\d+) silent\)$", re.MULTILINE)
OPTIONS = (
    *("--units", "0:0", "--explainer", "senses", "--explainer", "token_lookup"),
    *("--scorer", "simulation_senses", "--heldout", "12", "--receipts", "8"),
)
SILENT_TEXTS = [f"the old ship {i}" for i in range(8)]
FIRING_TEXTS = [f"zebra {i} May" for i in range(8)]
Senses = Callable[[str], object]


class Reader:
    """Says of senses what it is told to, and writes texts that it is told to."""

    def __init__(
        self,
        senses: Senses,
        *,
        fires: Sequence[object] = (),
        silent: Sequence[object] = (),
        texts: str | None = None,
    ) -> None:
        self._senses, self._fires, self._silent, self._texts = senses, fires, silent, texts
        self.asked: list[str] = []

    def __call__(self, request: ChatRequest) -> str:
        about, asked = request.messages[0].content, request.messages[1].content
        kind = next(sign for sign in (*_SIGNS, "") if sign in about)
        self.asked.append(_SIGNS.get(kind, "places"))
        if self.asked[-1] == "senses":
            said = self._senses(_ACTIVE.findall(asked)[0])
            return said if isinstance(said, str) else json.dumps({"senses": said})
        if self.asked[-1] == "texts" and self._texts is not None:
            return self._texts
        if self.asked[-1] == "texts":
            texts = {"fires": self._fires, "silent": self._silent}
            rewrites = {"broader": "any word", "narrower": "one word"}
            n = len(_ASKED.findall(asked))
            return json.dumps({"senses": [texts | rewrites] * n})
        if self.asked[-1] == "revised":
            return json.dumps({"descriptions": ["no single text"]})
        return find_active_word(request)


_SIGNS = {
    "ist the separate things": "senses",
    "You put the descriptions to the test": "texts",
    "Descriptions of it were tested": "revised",
}


def sense(word: str, level: object = 8, **changes: object) -> dict[str, object]:
    return {"description": f"the word {word}", "level": level, "kind": "token", **changes}


def labelled(labelling: Labelling, reader: Reader, out: str = "a", code: int = 0) -> Label:
    with FakeEndpoint(reader) as endpoint:
        ended = labelling(labelling.arguments(out, *OPTIONS, llm=endpoint.base_url))
    assert (ended.code, "Traceback" in ended.err) == (code, False)
    [label] = FolderLabelStore(labelling.folder / out).labels()
    return label


def test_a_reader_that_always_finds_no_single_pattern_leaves_the_unit_to_rules(
    labelling: Labelling,
) -> None:
    for number, said in enumerate(
        ("No single pattern.", [], [sense("x", description="no single pattern")])
    ):
        label = labelled(labelling, Reader(lambda _, said=said: said), out=str(number))
        assert label.status is LabelStatus.OK
        assert label.llm is None
        assert label.explanation is not None
        assert (label.explanation.explainer, label.failures) == ("token_lookup", ())
        assert label.receipts == ()


def test_forty_senses_are_the_six_that_were_asked_for(labelling: Labelling) -> None:
    many = [sense(f"number{i}") for i in range(40)]
    label = labelled(labelling, Reader(lambda word: [sense(word), *many]))
    assert label.llm is not None
    assert 1 <= len(label.llm.explanation.senses) <= 6
    assert all("number5" not in c.explanation.text for c in label.candidates)
    assert len(label.sense_scores) == len(label.llm.explanation.senses)


def test_one_sense_that_is_said_six_times_is_one(labelling: Labelling) -> None:
    label = labelled(labelling, Reader(lambda word: [sense(word)] * 6))
    assert label.llm is not None
    assert len(label.llm.explanation.senses) == len(label.sense_scores) == 1


def test_one_sense_that_is_said_again_in_other_signs_and_letters_is_one(
    labelling: Labelling,
) -> None:
    def same(word: str) -> list[dict[str, object]]:
        said = f"the word {word}"
        forms = (
            said,
            said.upper(),
            f" the  word\t{word} ",
            f"{said}!",
            f'"{said}."',
            f"**{said}**",
        )
        return [sense(word, description=form) for form in forms]

    label = labelled(labelling, Reader(same))
    assert label.llm is not None
    assert len(label.llm.explanation.senses) == len(label.sense_scores) == 1
    assert not label.llm.explanation.text.startswith("(1)")


@pytest.mark.parametrize(
    ("rule", "everywhere"),
    [
        ("3: position > 0 or position = 0", True),
        ("3: not token ~ /qqqzzz/", True),
        ('3: token = "qqqzzz"', False),
        ("3: token ~ /\\u6c34+/ and not token ~ /.*/", False),
    ],
)
def test_rules_that_apply_everywhere_or_nowhere_have_no_score_and_say_why(
    labelling: Labelling, rule: str, everywhere: bool
) -> None:
    label = labelled(labelling, Reader(lambda word: [sense(word, rules=[rule])]))
    assert label.llm is not None
    score, [own] = label.score_of(label.llm), label.sense_scores
    assert score.value is None
    assert score.reason == "every predicted value is the same"
    assert (own.n_places > 0) is everywhere
    assert (label.status, label.explanation) == (
        LabelStatus.OK,
        label.rules and label.rules.explanation,
    )


def test_a_thousand_tokens_in_one_rule_cost_that_rule_and_the_label_says_so(
    labelling: Labelling,
) -> None:
    many = " or ".join(f'token = " w{n}"' for n in range(1_000))
    whole = "|".join(f"w{n}" for n in range(1_000))

    def said(word: str) -> list[dict[str, object]]:
        good = f"8: token ~ / *{word}/"
        return [sense(word, rules=[f"3: {many}", f"3: token ~ / ({whole})/", good])]

    label = labelled(labelling, Reader(said))
    assert label.llm is not None
    assert [len(s.rules) for s in label.llm.explanation.senses] == [1]
    note = label.failures[0]
    assert "rule 1 cannot be used: the rules have" in note
    assert "rule 2 cannot be used: the rules have" in note
    assert label.score_of(label.llm).value is not None


def test_six_senses_of_slow_rules_are_within_the_limit_of_one_explanation(
    labelling: Labelling,
) -> None:
    def said(word: str) -> list[dict[str, object]]:
        rules = [f"8: token ~ / *{word}/", "3: before ~ /.*.*\\x00/"]
        return [sense(f"{word} {letter}", rules=rules) for letter in "abcdef"]

    label = labelled(labelling, Reader(said))
    assert label.llm is not None
    assert [len(s.rules) for s in label.llm.explanation.senses] == [2, 1, 1, 1, 1, 1]
    assert (
        "description 2: rule 2 cannot be used: the regular expressions could take too long"
        in (label.failures[0])
    )


def test_a_sense_all_of_whose_rules_are_bad_is_one_for_a_reader(labelling: Labelling) -> None:
    bad = ["strong: May", "12: token ~ /a/", "3: token ~ /(/", 7]
    reader = Reader(lambda word: [sense(word, rules=bad)])
    label = labelled(labelling, reader)
    assert label.llm is not None
    assert [s.program for s in label.llm.explanation.senses] == [None]
    assert "description 1: rule 1 cannot be used: a rule begins with a number" in label.failures[0]
    assert label.failures[0].endswith("; and 1 more")
    assert reader.asked.count("places") > 0


@pytest.mark.parametrize(("level", "taken"), [(0, 1), (11, 10), ("8/10", 8)])
def test_a_level_beside_the_scale_is_the_nearest(
    labelling: Labelling, level: object, taken: float
) -> None:
    label = labelled(labelling, Reader(lambda word: [sense(word, level)]))
    assert label.llm is not None
    assert label.llm.explanation.senses[0].level == taken


@pytest.mark.parametrize("level", ["strongly", None, 85])
def test_a_level_that_is_none_fails_the_explanation_with_the_reason(
    labelling: Labelling, level: object
) -> None:
    label = labelled(labelling, Reader(lambda word: [sense(word, level)]), code=1)
    assert label.llm is None
    assert label.status is LabelStatus.OK
    assert "is not a whole level from 1 to 10" in label.failures[0]


def test_positives_that_fire_nowhere_leave_the_sense_revised_or_doubtful(
    labelling: Labelling,
) -> None:
    reader = Reader(lambda word: [sense(word)], fires=SILENT_TEXTS, silent=SILENT_TEXTS[4:])
    label = labelled(labelling, reader)
    positives = [r for r in label.receipts if r.kind is ReceiptKind.POSITIVE]
    assert [r.as_expected for r in positives] == [False] * 4
    assert "revised" in reader.asked
    assert "fires on 0 of 4 texts that were written to activate it" in str(_doubt(label))
    assert label.score_of(label.llm, "survived").value == 0.5


def test_near_misses_that_fire_leave_the_sense_revised_or_doubtful(labelling: Labelling) -> None:
    reader = Reader(lambda word: [sense(word)], fires=FIRING_TEXTS, silent=FIRING_TEXTS[4:])
    label = labelled(labelling, reader)
    near = [r for r in label.receipts if r.kind is ReceiptKind.NEAR_MISS]
    assert [r.as_expected for r in near] == [False] * 4
    assert "revised" in reader.asked
    assert "fires on 4 of 4 near misses" in str(_doubt(label))


@pytest.mark.parametrize("said", ["", "[[", '{"senses": [7]}', '{"senses": [{"fires": 3}]}'])
def test_texts_that_cannot_be_read_give_no_receipt_of_them(labelling: Labelling, said: str) -> None:
    label = labelled(labelling, Reader(lambda word: [sense(word)], texts=said))
    assert label.llm is not None
    assert {r.kind for r in label.receipts} & {ReceiptKind.POSITIVE, ReceiptKind.NEAR_MISS} == set()
    survived = label.score_of(label.llm, "survived")
    assert survived.value is None
    assert survived.reason


def test_one_text_for_everything_is_run_once_and_the_label_says_so(labelling: Labelling) -> None:
    reader = Reader(lambda word: [sense(word)], fires=["the old ship"] * 8, silent=["The old ship"])
    label = labelled(labelling, reader)
    assert [r.text for r in _written(label)] == ["the old ship"]
    assert label.score_of(label.llm, "survived").n_windows == 1
    assert _doubt(label) is None
    assert "8 given twice" in _notes(label)


def test_near_misses_that_are_the_positives_are_left_out(labelling: Labelling) -> None:
    reader = Reader(lambda word: [sense(word)], fires=FIRING_TEXTS[:4], silent=FIRING_TEXTS[:4])
    label = labelled(labelling, reader)
    assert {r.kind for r in _written(label)} == {ReceiptKind.POSITIVE}
    assert "given twice" in _notes(label)


def test_texts_that_are_empty_endless_or_not_texts_are_left_out_and_counted(
    labelling: Labelling,
) -> None:
    odd = ["", " ", "\n", "x" * 10_000, None, 7, ["a text"], "the old ship"]
    label = labelled(labelling, Reader(lambda word: [sense(word)], fires=odd, silent=odd))
    assert [r.text for r in _written(label)] == ["the old ship"]
    assert "longer than 300 characters" in _notes(label)
    assert "empty or not a text" in _notes(label)


def test_texts_of_other_scripts_are_run_whole_or_counted(labelling: Labelling) -> None:
    texts = [
        "水は流れる",
        "Река течёт",
        "نهر طويل",
        "👩‍👩‍👧 \u200b\ufeff",
        "\ud83d",
        "zebra\u0000May",
    ]
    reader = Reader(lambda word: [sense(word, description="水 and река")], fires=texts)
    label = labelled(labelling, reader)
    assert label.llm is not None
    assert label.llm.explanation.text == "水 and река"
    run = [r.text for r in _written(label)]
    assert run == [text for text in texts if text in run]
    assert len(run) == 4 or "could not be run as a whole" in _notes(label)


def test_fields_that_nobody_asked_for_change_nothing(labelling: Labelling) -> None:
    plain = Reader(lambda word: [sense(word)], fires=SILENT_TEXTS, silent=SILENT_TEXTS[4:])
    more = {"confidence": 0.9, "level_max": 10, "senses": [], "fires": "often"}
    richer = Reader(
        lambda word: json.dumps({"thoughts": "...", "senses": [more | sense(word)], "n": 1}),
        fires=SILENT_TEXTS,
        silent=SILENT_TEXTS[4:],
    )
    one, other = labelled(labelling, plain, "a"), labelled(labelling, richer, "b")
    assert one.llm is not None
    assert other.llm is not None
    assert one.llm.explanation.senses == other.llm.explanation.senses
    assert one.receipts == other.receipts
    assert one.headline == other.headline


@pytest.mark.parametrize("long", ["word " * 40, "word," * 2_000, "水" * 3_000])
def test_a_sense_without_end_is_left_out_and_the_others_stay(
    labelling: Labelling, long: str
) -> None:
    reader = Reader(lambda word: [sense("x", description=long), sense(word)])
    label = labelled(labelling, reader)
    assert label.llm is not None
    assert [len(s.description) < 100 for s in label.llm.explanation.senses] == [True]
    # Two answers, each asked for twice.
    assert reader.asked.count("senses") == 4
    assert label.failures[0].startswith("senses answer 0: left out of it: description 1")


def _written(label: Label) -> list[Receipt]:
    kinds = {ReceiptKind.POSITIVE, ReceiptKind.NEAR_MISS}
    return [receipt for receipt in label.receipts if receipt.kind in kinds]


def _notes(label: Label) -> str:
    return " ".join(note for result in label.results for note in result.notes)


def _doubt(label: Label) -> str | None:
    assert len(label.sense_scores) == 1
    return label.sense_scores[0].doubt
