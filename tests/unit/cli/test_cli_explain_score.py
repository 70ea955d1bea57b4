from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_info, make_label, make_record, make_sets
from fake_endpoint import FakeEndpoint
from memory_store import MemoryLabelStore
from neuron_records import neuron_record, write_record
from planted_llm import find_active_word

from autointerp.core.explanations import Explanation, TokenRule
from autointerp.core.ids import Side
from autointerp.core.records import HeldOutSet, Stratum
from autointerp.dictionary import write_dictionary
from autointerp.dictionary.neuron_record_import.parsing import records_path
from autointerp.llm import ChatRequest


def words(text: str) -> Explanation:
    return Explanation(text, "given", None, None, None, 0)


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    with FakeEndpoint(find_active_word) as made:
        yield made


def test_explain_prints_candidates_and_writes_json(
    cli: Cli, tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    path = write_record(tmp_path / "river.json")
    llm = ("--llm", endpoint.base_url, "--llm-model", "fake")
    out = tmp_path / "made" / "found.json"
    explainers = ("--explainer", "token_activation", "--explainer", "token_lookup")
    ended = cli("explain", str(path), *llm, *explainers, "--samples", "1", "--out", str(out))
    assert ended.code == 0
    assert "the word river" in ended.out
    assert 'the token " river"' in ended.out
    [unit] = json.loads(out.read_text())["units"]
    assert {c["explainer"] for c in unit["candidates"]} == {"token_activation", "token_lookup"}
    assert [c["chosen"] for c in unit["candidates"]] == [True, False]
    assert (unit["hook"], unit["index"]) == ("blocks.7.mlp.hook_post", 3)


def test_explain_and_score_print_senses_with_their_kind_and_level(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    senses = [
        {"description": "the word river", "level": 9, "kind": "token"},
        {"description": "texts about a bank", "level": 2, "kind": "topic"},
    ]

    def answer(request: ChatRequest) -> str:
        asks = "excerpts" in request.messages[0].content
        return json.dumps({"senses": senses}) if asks else find_active_word(request)

    path = write_record(tmp_path / "river.json")
    with FakeEndpoint(answer) as endpoint:
        llm = ("--llm", endpoint.base_url, "--llm-model", "fake", "--explainer", "senses")
        shown = cli("explain", str(path), *llm)
        found = json.loads(cli("explain", str(path), *llm, "--json").out)
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert any("1. the word river (token, level 9" in line for line in lines)
    assert any("2. texts about a bank (topic, level 2" in line for line in lines)
    [candidate] = found["units"][0]["candidates"]
    assert [(s["kind"], s["level"]) for s in candidate["senses"]] == [("token", 9), ("topic", 2)]


def test_score_asks_about_the_given_explanation(
    cli: Cli, tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    path = write_record(tmp_path / "river.json")
    llm = ("--llm", endpoint.base_url, "--llm-model", "fake")
    said = ("--explanation", "the word river")
    ended = cli("score", str(path), *llm, *said, "--heldout", "4", "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    [unit] = found["units"]
    assert (unit["score_name"], unit["explanation"]) == ("top_random", "the word river")
    assert unit["score"] > 0.95
    assert "how many windows" in unit["no_population"]
    assert unit["results"][0]["n_asked"] == 4
    assert found["llm"] == "fake"
    printed = cli("score", str(path), *llm, *said).out
    assert "population is undefined: the file does not say how many windows" in printed


def test_several_windows_go_into_a_call_where_that_is_asked_for(
    cli: Cli, tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    path = write_record(tmp_path / "river.json")
    llm = ("--llm", endpoint.base_url, "--llm-model", "fake")
    given = ("--scorer", "simulation", "--explanation", "the word river", "--heldout", "4")
    asked = ("score", str(path), *llm, *given)
    n = {}
    for per_call in ("1", "4"):
        before = len(endpoint.bodies)
        cli(*asked, "--windows-per-call", per_call)
        n[per_call] = sum("Text 2" in str(body) for body in endpoint.bodies[before:])
    assert (n["1"], n["4"]) == (0, 1)


def test_the_llm_is_shown_so_many_excerpts_and_those_that_differ_first(
    cli: Cli, tmp_path: Path, endpoint: FakeEndpoint
) -> None:
    same = {"tokens": ["a", " river", " b"], "activations": [0.0, 9.0, 0.0]}
    record = neuron_record()
    [*top] = record["most_positive_activation_records"]
    copies = [
        {**same, "tokens": [f"x{i}", " old", " river", " now"], "activations": [0, 0, 9, 0]}
        for i in range(6)
    ]
    path = write_record(
        tmp_path / "x.json", {**record, "most_positive_activation_records": [*copies, *top]}
    )
    shown = {}
    for options in ((), ("--diverse",)):
        before = len(endpoint.bodies)
        llm = ("--llm", endpoint.base_url, "--llm-model", "fake", "--samples", "1")
        usual = ("--explainer", "token_activation", "--top", "3")
        cli("explain", str(path), *llm, *usual, *options)
        asked = [str(body) for body in endpoint.bodies[before:] if "Excerpt 1" in str(body)]
        assert all("Excerpt 3" in body and "Excerpt 4" not in body for body in asked)
        shown[options] = max(body.count(" old river now") for body in asked)
    assert shown == {(): 3, ("--diverse",): 1}


def test_files_that_fail_are_listed_and_the_others_done(cli: Cli, tmp_path: Path) -> None:
    good = write_record(tmp_path / "good.json")
    bad = write_record(tmp_path / "bad.json", neuron_record(n_top=0, n_random=0))
    ended = cli("explain", str(bad), str(good), str(tmp_path / "none.json"), "--llm", "none")
    assert ended.code == 1
    assert 'the token " river"' in ended.out
    assert "2 files failed:" in ended.err
    assert "bad.json has no records" in " ".join(ended.err.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("explain", "none.json"), "could not read none.json: No such file or directory"),
        (("explain", "x.json", "--explainer", "crystal"), "unknown explainer 'crystal'; there are"),
        (("score", "x.json", "--scorer", "crystal"), "unknown scorer 'crystal'; there are"),
        (
            ("score", "x.json"),
            "x.json holds no explanation; add the one to score with --explanation",
        ),
        (("score", "x.json", "--explanation", " "), "the explanation is empty; write what"),
        (
            ("score", "x.json", "--explanation", "y", "--llm", "none"),
            "an explanation in words is scored by an LLM",
        ),
        (
            ("score", "x.json", "--explanation", "y", "--windows-per-call", "0"),
            "--windows-per-call 0 cannot be used",
        ),
        (("explain", "x.json", "--top", "101"), "--top 101 cannot be used"),
        (("explain", "x.json", "--seed", "-1"), "--seed -1 cannot be used"),
        (
            ("explain", "x.json", "--explainer", "contrastive"),
            "explainer contrastive compares with silent windows that look like the exemplars, and "
            "files of records come without the subject model",
        ),
        (
            ("score", "x.json", "--explanation", "y", "--scorer", "generative"),
            "scorer generative runs texts through the subject model, and files of records come",
        ),
        (
            ("score", "x.json", "--explanation", "y", "--scorer", "detection", "--llm", "none"),
            "scorer detection asks an LLM, and the job's llm is none",
        ),
        (
            ("score", "x.json", "--explanation", "y", "--scorer", "simulation", "--llm", "none"),
            "scorer simulation asks an LLM, and the job's llm is none",
        ),
        (
            ("explain", "x.json", "--explainer", "token_activation", "--llm", "none"),
            "explainer token_activation asks an LLM, and the job's llm is none",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(
    cli: Cli, arguments: tuple[str, ...], sentence: str
) -> None:
    write_record(Path("x.json"))
    ended = cli(*arguments)
    assert ended.code == 2
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def _with_rules(folder: Path) -> Path:
    """A dictionary whose label is rules and whose unit has twelve records to explain from."""
    sets = make_sets()
    explain = tuple(
        make_record(30 + i, (0.0, 2.0 + i, 0.0, 0.0), "top" if i < 6 else "band0")
        for i in range(12)
    )
    held_out = tuple(
        make_record(60 + i, (0.0, 3.0 + i % 2, 0.0, 0.0) if i < 4 else (0.0, 0.0, 0.0), name)
        for i, name in enumerate(("top",) * 4 + ("silent",) * 4)
    )
    strata = (Stratum("top", 8, 4, 3.0, 4.0), Stratum("silent", 90, 4, 0.0, 0.0))
    sets = replace(
        sets,
        explain=replace(sets.explain, records=explain, peak=13.0),
        held_out=HeldOutSet(sets.held_out.unit, Side.POSITIVE, held_out, strata, 13.0),
    )
    rule = TokenRule((1,), " river", 4.0, 0.9)
    rules = replace(words('the token " river"'), explainer="token_lookup", rules=(rule,))
    store = MemoryLabelStore()
    store.put_label(make_label(explanation=rules))
    store.put_sets(sets)
    write_dictionary(folder, store, make_info())
    return records_path(folder, sets.explain.unit, sets.explain.side)


def test_what_is_named_twice_is_used_once(cli: Cli, tmp_path: Path) -> None:
    path = write_record(tmp_path / "x.json")
    twice = ("--explainer", "token_lookup") * 2
    found = json.loads(cli("explain", str(path), *twice, "--llm", "none", "--json").out)
    assert len(found["units"][0]["candidates"]) == 1
    cli("label", "--units", "5:131", *twice, "--scorer", "detection", "--scorer", "detection")
    [job] = cli.runner.jobs
    assert (job.explain.explainers, job.score.scorers) == (("token_lookup",), ("detection",))


def test_our_own_file_is_scored_with_its_explanation_over_all_text(
    cli: Cli, tmp_path: Path
) -> None:
    path = _with_rules(tmp_path / "d")
    ended = cli("score", str(path), "--llm", "none", "--json")
    assert ended.code == 0
    [unit] = json.loads(ended.out)["units"]
    assert (unit["scorer"], unit["score_name"]) == ("rules", "population")
    assert unit["explanation"] == 'the token " river"'
    assert unit["no_population"] is None


def test_texts_of_the_file_reach_the_terminal_harmless(cli: Cli, tmp_path: Path) -> None:
    path = write_record(tmp_path / "x.json", neuron_record(word=" \x1b[31m"))
    ended = cli("explain", str(path), "--llm", "none")
    assert ended.code == 0
    assert "\x1b" not in ended.out
