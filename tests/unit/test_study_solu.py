"""Blinded studies of neurons: planted rules, what judges see, going on, and bad input."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint
from planted import planted_texts, write_planted
from tiny import tiny_gpt2, tiny_tokenizer

import autointerp as ai
from autointerp.core.blind_study import Answer, ItemVerdict
from autointerp.core.errors import DamagedError, InputError, UpstreamError
from autointerp.core.study_report import StudyReport, StudyValue
from autointerp.llm import ChatRequest
from autointerp.wiring.blind_folder import ITEMS, KEY, VERDICTS, BlindFolder
from autointerp.wiring.study_folder import FIGURES, PAGE


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with planted rules, text on which they apply, and a study of it."""
    folder = tmp_path_factory.mktemp("planted")
    write_planted(folder / "planted")
    texts = (json.dumps({"text": text}) for text in planted_texts(60))
    (folder / "texts.jsonl").write_text("\n".join(texts))
    Room(folder, folder / "out").study()
    return folder


@dataclass(frozen=True)
class Room:
    """The folder of a study of what lies in another."""

    made: Path
    out: Path

    def study(self, **changes: Any) -> StudyReport:
        options = {
            "sites": ("pre", "post"),
            "neurons": 5,
            "corpus": str(self.made / "texts.jsonl"),
            "tokens": 8000,
            "out": self.out,
        }
        return ai.study_solu(str(self.made / "planted"), **{**options, **changes})


@pytest.fixture
def room(made: Path, tmp_path: Path) -> Room:
    """A copy of it, to change."""
    return Room(made, Path(shutil.copytree(made / "out", tmp_path / "out")))


def table(report: StudyReport, title: str) -> list[tuple[Any, ...]]:
    return [row for one in report.tables if one.title == title for row in one.rows]


def test_planted_rules_are_found_and_dead_units_counted(room: Room) -> None:
    report = room.study()
    verdicts = {(row[0], row[1]): row[3:] for row in table(report, "Every verdict")}
    answer, n_covered, rule = verdicts["planted post", "0:1"]
    assert (answer, n_covered) == ("yes", 20)
    assert re.fullmatch(r'the token " bank" \(at \d\.\d % of all tokens\)', rule)
    # Months are three words with nothing in common but a capital, which rivers have too.
    assert verdicts["planted post", "0:0"][0] == "no"
    assert ("planted post", "0:3") not in verdicts
    [row] = [
        r for r in table(report, "Share of units that one rule covers") if r[1].endswith("post")
    ]
    assert row[5] == 1
    assert isinstance(row[2], StudyValue)


def test_items_say_nothing_of_what_they_are_of(room: Room) -> None:
    blind = BlindFolder(room.out)
    text = (room.out / ITEMS).read_text()
    for told in ("planted", "hook", "layer", "unit", "pre", "post", '"arm"'):
        assert told not in text
    keys, items = blind.keys(), blind.items()
    assert all(re.fullmatch("[0-9a-f]{12}", item.id) for item in items)
    assert Counter(key.arm for key in keys.values()) == {"planted pre": 4, "planted post": 4}
    assert [keys[item.id].arm for item in items] != sorted(keys[item.id].arm for item in items)
    for item in items:
        assert all(f.levels[f.peak] == max(f.levels) for f in item.firings)


def test_the_same_seed_gives_the_same_items_and_another_other_ones(
    room: Room, tmp_path: Path
) -> None:
    room.study(out=tmp_path / "again")
    room.study(out=tmp_path / "other", seed=1)
    first, again, other = (
        (folder / ITEMS).read_bytes()
        for folder in (room.out, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    assert first != other


def answered(request: ChatRequest) -> str:
    """A judge who covers what holds "bank", in texts that are numbered from 1."""
    lines = request.messages[-1].content.split("\n")
    numbered = (line.partition(": ") for line in lines if re.match(r"\d+: ", line))
    covered = [int(number) for number, _, text in numbered if "<< bank>>" in text]
    return json.dumps({"rule": "the word bank" if covered else "none", "covered": covered})


def test_an_llm_judges_what_it_has_not_judged_and_kappa_is_told(room: Room) -> None:
    with FakeEndpoint(answered) as endpoint:
        report = room.study(llm=endpoint.base_url, llm_model="fake")
        n_asked = len(endpoint.bodies)
        # A unit before and after its activation fires at the same places.
        assert n_asked == 4
        room.study(llm=endpoint.base_url, llm_model="fake")
        assert len(endpoint.bodies) == n_asked
        prompt = endpoint.bodies[0]["messages"][-1]["content"]
    assert "planted" not in prompt
    [(judges, n, share, kappa)] = table(report, "Agreement of judges")
    assert (judges, n) == ("rules, LLM fake (prompt v2)", 8)
    assert 0.5 <= share <= 1
    assert isinstance(kappa, StudyValue)
    verdicts = [
        v for v in BlindFolder(room.out).verdicts("LLM fake (prompt v2)") if v.answer is Answer.YES
    ]
    assert {v.rule for v in verdicts} == {"the word bank"}


def test_a_failure_of_the_llm_is_no_verdict_and_is_asked_again(room: Room) -> None:
    with FakeEndpoint(lambda _: "I would rather not.") as endpoint:
        report = room.study(llm=endpoint.base_url, llm_model="fake")
        assert len(endpoint.bodies) == 8
    assert BlindFolder(room.out).verdicts("LLM fake (prompt v2)") == ()
    assert any(
        "LLM fake (prompt v2) gave no verdict on 8 items" in said for said in report.paragraphs
    )
    with FakeEndpoint(answered) as endpoint:
        room.study(llm=endpoint.base_url, llm_model="fake")
    assert len(BlindFolder(room.out).verdicts("LLM fake (prompt v2)")) == 8


def test_an_llm_that_cannot_be_reached_ends_it_and_loses_nothing(room: Room) -> None:
    before = (room.out / VERDICTS).read_bytes()
    with pytest.raises(UpstreamError):
        room.study(llm="http://127.0.0.1:9/v1", llm_model="fake")
    assert (room.out / VERDICTS).read_bytes() == before


def test_a_verdict_that_was_cut_off_is_passed_over_and_the_next_is_whole(room: Room) -> None:
    blind = BlindFolder(room.out)
    first, second = blind.items()[:2]
    blind.add(ItemVerdict("me", first.id, Answer.YES))
    path = room.out / VERDICTS
    path.write_bytes(path.read_bytes() + b'{"judge":"me","ite')
    assert [v.item for v in blind.verdicts("me")] == [first.id]
    blind.add(ItemVerdict("me", second.id, Answer.NO))
    assert [v.item for v in blind.verdicts("me")] == [first.id, second.id]
    blind.add(ItemVerdict("me", first.id, Answer.UNSURE))
    assert [v.answer for v in blind.verdicts("me")] == [Answer.NO, Answer.UNSURE]
    blind.take_back("me", first.id)
    assert [v.item for v in blind.verdicts("me")] == [second.id]


def test_a_run_that_was_killed_before_it_had_items_makes_them(room: Room) -> None:
    whole = {name: (room.out / name).read_bytes() for name in (ITEMS, KEY, VERDICTS)}
    (room.out / ITEMS).unlink()
    room.study()
    assert {name: (room.out / name).read_bytes() for name in whole} == whole


def test_the_report_is_a_page_and_json(room: Room) -> None:
    report = room.study()
    figures = (room.out / FIGURES).read_bytes()
    assert StudyReport.from_json(figures, where="it").paragraphs == report.paragraphs
    page = (room.out / PAGE).read_text()
    assert "Neurons that one rule explains" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neurons": 6}, "holds another study: neurons is 5 there and 6 here"),
        ({"sites": ("in",), "out": None}, "there is no site 'in'; sites are pre, mid, post"),
        ({"sites": ("pre", "mid"), "out": None}, "planted cannot be read at mid; leave it out"),
        ({"sites": ("post",), "out": None}, "there are no two groups to compare: planted post"),
        ({"firings": 4, "out": None}, "firings is 4; give a number from 5 to 100"),
        ({"neurons": 0, "out": None}, "neurons is 0; give a number from 1 to 10,000"),
        (
            {"firings": 5, "neurons": 1, "seed": 14, "out": None},
            "is active in 5 windows of both halves",
        ),
    ],
)
def test_what_cannot_be_is_refused(room: Room, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        room.study(**changes)


def test_models_with_different_tokenizers_are_refused(room: Room, tmp_path: Path) -> None:
    tiny_gpt2().save_pretrained(tmp_path / "other")
    tiny_tokenizer().save_pretrained(tmp_path / "other")
    options = {"corpus": str(room.made / "texts.jsonl"), "tokens": 4000}
    with pytest.raises(InputError, match="planted and other have different tokenizers"):
        ai.study_solu(str(room.made / "planted"), str(tmp_path / "other"), **options)


@pytest.mark.parametrize("damage", [b"", b"[]", b"{"])
def test_a_damaged_key_is_told(room: Room, damage: bytes) -> None:
    (room.out / KEY).write_bytes(damage)
    with pytest.raises(DamagedError, match=r"key\.json .* begin again with another --out"):
        room.study()


@pytest.mark.parametrize("damage", [b"3", b"{}", b'{"judge": [], "item": []}', b""])
def test_a_damaged_line_of_what_was_taken_back_is_told(room: Room, damage: bytes) -> None:
    with (room.out / VERDICTS).open("ab") as file:
        file.write(b'{"taken_back":' + damage + b"}\n")
    with pytest.raises(DamagedError, match=r"verdicts\.jsonl cannot be read"):
        room.study()
