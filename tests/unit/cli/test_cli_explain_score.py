from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_info, make_label, make_record, make_sets
from fake_endpoint import FakeEndpoint
from memory_store import MemoryLabelStore
from neuron_records import neuron_record, write_record
from planted_llm import tokens_of

from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.explanations import Explanation, TokenRule
from autointerp.core.ids import Side
from autointerp.core.records import HeldOutSet, Stratum
from autointerp.dictionary import write_dictionary
from autointerp.dictionary.neuron_record_import.parsing import read_record_file
from autointerp.dictionary.neuron_record_import.record_file import RecordFile
from autointerp.llm import ChatRequest, Features, ScriptedModel
from autointerp.pipeline.imported_units import (
    ScoredFile,
    explain_records,
    score_records,
    without_population,
)
from autointerp.wiring import build_tools

NO_LOGPROBS = Features(logprobs=False)


def knowing(request: ChatRequest) -> str:
    """Finds the word that is active everywhere; simulates the word that it is told."""
    said = request.messages[-1].content
    if "Neuron:" not in said:
        active = re.findall(r'^Active: "(.*?)" ', said, re.MULTILINE)
        return json.dumps({"explanation": f"the word {active[0].strip()}"})
    word = " " + re.findall(r"Neuron: .*?(\w+)$", said, re.MULTILINE)[0]
    levels = [10 * (token == word) for token in tokens_of(request)]
    return json.dumps({"rows": [levels[i : i + 8] for i in range(0, len(levels), 8)]})


def words(text: str) -> Explanation:
    return Explanation(text, "given", None, None, None, 0)


def scored(
    *pairs: tuple[RecordFile, Explanation], reply: object = knowing
) -> tuple[ScoredFile, ...]:
    job = JobSpec(units="records", llm="http://host/v1", score=ScoreConfig(scorers=("detection",)))
    model = ScriptedModel(reply, features=NO_LOGPROBS)  # type: ignore[arg-type]
    return asyncio.run(score_records(pairs, job, build_tools(job, model), model))


@pytest.fixture
def river(tmp_path: Path) -> RecordFile:
    return read_record_file(write_record(tmp_path / "river.json"), seed=0)


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    with FakeEndpoint(knowing) as made:
        yield made


def test_the_right_explanation_scores_above_a_wrong_one_and_by_what_name(
    river: RecordFile,
) -> None:
    right, wrong = scored((river, words("the word river")), (river, words("the word stones")))
    assert right.label.headline.value is None
    assert right.label.headline.reason == river.no_population
    assert right.headline.name == "top_random"
    assert (right.headline.value or 0.0) > 0.95
    assert abs(wrong.headline.value or 0.0) < 0.3
    main = right.label.result("simulation")
    assert main is not None
    names = [score.name for score in main.scores]
    assert len(names) == len(set(names))
    assert {"population", "top_random", "top", "random", "over_lookup", "over_null"} == set(names)
    assert main.n_asked == main.n_judged + main.n_failed == 8


def test_top_and_random_records_count_half_each(river: RecordFile) -> None:
    [found] = scored((river, words("the word river")))
    trials = found.label.results[0].trials
    weights = {
        name: sum(t.weight for t in trials if t.stratum == name) for name in ("top", "random")
    }
    assert weights["top"] == weights["random"]


def test_a_verdict_scorer_keeps_its_scores(river: RecordFile) -> None:
    def yes(request: ChatRequest) -> str:
        return "yes" if "river" in request.messages[-1].content else "no"

    [found] = scored((river, words("the word river")), reply=yes)
    detection = found.label.result("detection")
    assert detection is not None
    assert detection.score("balanced_accuracy").value is not None


def test_replies_that_cannot_be_read_are_failed_trials_and_never_a_score(
    river: RecordFile,
) -> None:
    for reply in ("", "I cannot help with that.", '{"rows": [[1]]}', '{"rows": "many"}'):
        [found] = scored((river, words("the word river")), reply=lambda _, said=reply: said)
        main = found.label.result("simulation")
        assert main is not None
        assert (main.n_asked, main.n_failed) == (8, 8)
        assert found.headline.value is None
        assert found.label.status == "failed"


def test_candidates_are_tried_on_validation_records_only(river: RecordFile) -> None:
    job = JobSpec(units="records", llm="http://host/v1")
    model = ScriptedModel(knowing, features=NO_LOGPROBS)
    [found] = asyncio.run(explain_records([river], job, build_tools(job, model)))
    texts = {c.explanation.text: c.validation_score for c in found.selection.candidates}
    assert "the word river" in texts
    assert (texts["the word river"] or 0.0) > 0.9
    asked = [tokens_of(r) for r in model.requests if "Neuron:" in r.messages[-1].content]
    held_out = {r.tokens for r in river.sets.held_out.records}
    assert asked
    assert not {tuple(tokens) for tokens in asked} & held_out


def test_a_file_without_bands_or_random_sample_goes_by_its_top_records(tmp_path: Path) -> None:
    path = write_record(tmp_path / "top.json", neuron_record(n_random=0))
    [found] = scored((read_record_file(path, seed=0), words("the word river")))
    assert found.headline.name == "top"


def test_where_the_sizes_are_known_nothing_is_renamed() -> None:
    label = make_label()
    assert without_population(label, None) is label


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
    assert all(c["validation_score"] is not None for c in unit["candidates"])
    assert (unit["hook"], unit["index"]) == ("blocks.7.mlp.hook_post", 3)


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
        (("score", "x.json", "--explanation", " "), "--explanation is empty"),
        (
            ("score", "x.json", "--explanation", "y", "--llm", "none"),
            "an explanation in words is scored by an LLM",
        ),
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
    return next((folder / "records").rglob("*.json.gz"))


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
