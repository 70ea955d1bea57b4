from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import Cli
from factories import make_info, make_label, make_provenance, make_record, make_sets, make_unit
from memory_store import MemoryLabelStore
from sense_labels import SENSES, make_llm_explanation, make_rules, make_sense_label

from autointerp.core.explanations import Label, LabelStatus, ScoredExplanation
from autointerp.core.records import HeldOutSet, Stratum, UnitSets
from autointerp.core.scores import ScorerResult, Trial
from autointerp.dictionary import ManifestInfo, write_dictionary
from autointerp.dictionary.score_differences import paired_difference_of
from autointerp.store.label_records import LabelRecords, label_records

REAL = tuple((0.0, float(i), 0.0, 0.5) for i in range(8))


def eight_windows() -> UnitSets:
    sets = make_sets()
    strata = (Stratum("silent", 90, 4, 0.0, 3.0), Stratum("top", 10, 4, 3.0, 9.0))
    records = tuple(
        make_record(20 + i, line, "top" if i > 3 else "silent") for i, line in enumerate(REAL)
    )
    held_out = HeldOutSet(sets.held_out.unit, sets.held_out.side, records, strata, 4.0)
    return replace(sets, held_out=held_out)


def predicting(lines: Sequence[Sequence[float]], **changes: object) -> Label:
    """A label whose scorer predicted these lines for windows 20 and up."""
    made = make_label(**changes)  # type: ignore[arg-type]
    trials = tuple(
        Trial(20 + i, "top" if i > 3 else "silent", 1.0, tuple(line), None, None, None)
        for i, line in enumerate(lines)
    )
    main = made.results[0]
    result = ScorerResult(main.scorer, main.explanation, main.scores, trials)
    return replace(made, results=(result, *made.results[1:]))


def records_of(label: Label) -> LabelRecords:
    return label_records(label, eight_windows())


def written(folder: Path, *labels: Label, info: ManifestInfo | None = None) -> str:
    store = MemoryLabelStore()
    for label in labels:
        store.put_label(label)
        if label.status is LabelStatus.OK:
            store.put_sets(replace_unit(eight_windows(), label))
    write_dictionary(folder, store, info or make_info())
    return str(folder)


def replace_unit(sets: UnitSets, label: Label) -> UnitSets:
    parts = (sets.explain, sets.validation, sets.held_out)
    return UnitSets(*(replace(part, unit=label.unit) for part in parts))  # type: ignore[type-var]


GOOD = [tuple(a + 0.1 * (i % 3) for a in line) for i, line in enumerate(REAL)]
BAD = [tuple(reversed(line)) for line in REAL]


def test_the_paired_difference_is_of_the_windows_judged_in_both() -> None:
    bad, good = predicting(BAD[:6]), predicting(GOOD)
    found = paired_difference_of(bad, records_of(bad), good, records_of(good))
    assert found is not None
    assert (found.method, found.n_windows) == ("paired", 6)
    assert found.value > 0.5
    assert found.moved


def test_windows_that_are_not_the_same_or_too_few_are_not_paired() -> None:
    bad, good, few = predicting(BAD), predicting(GOOD), predicting(GOOD[:3])
    there, here = records_of(bad), records_of(good)
    elsewhere = replace(here, held_out=tuple(replace(r, document="x") for r in here.held_out))
    resized = replace(here, strata=tuple(replace(s, n_windows=99) for s in here.strata))
    assert paired_difference_of(bad, there, few, records_of(few)) is None
    assert paired_difference_of(bad, there, good, elsewhere) is None
    assert paired_difference_of(bad, there, good, resized) is None


def test_the_table_names_what_changed_and_what_moved(cli: Cli, tmp_path: Path) -> None:
    lost = make_label(make_unit(7))
    a = written(tmp_path / "a", predicting(BAD, text="old\x1b[31m", score=0.1), lost)
    b = written(tmp_path / "b", predicting(GOOD, text="new", score=0.9))
    ended = cli("diff", a, b)
    assert ended.code == 0
    assert "- old\\x1b[31m" in ended.out
    assert "+ new" in ended.out
    assert "1 of 1 score moved (*)" in ended.out
    assert "1 paired on the same windows, 0 from the two scores' own" in " ".join(ended.out.split())
    assert "only in A: 5:7 +" in ended.out


def test_a_narrow_terminal_still_shows_units_and_differences(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    a = written(tmp_path / "a", make_label(score=0.1))
    ended = cli("diff", a, written(tmp_path / "b", make_label(score=0.9)))
    assert ended.code == 0
    assert "+0.80 *" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 40


def test_only_picks_the_units_and_json_counts_all(cli: Cli, tmp_path: Path) -> None:
    units = [make_unit(i) for i in range(3)]
    labels = [make_label(unit, score=0.1) for unit in units]
    a = written(tmp_path / "a", *labels)
    changed = (make_label(units[1], text="other", score=0.1), make_label(units[2], score=0.9))
    b = written(tmp_path / "b", labels[0], *changed)
    found = {
        only: json.loads(cli("diff", a, b, "--only", only, "--json").out)
        for only in ("all", "changed", "moved")
    }
    indices = {only: [u["index"] for u in f["units"]] for only, f in found.items()}
    assert indices == {"all": [0, 1, 2], "changed": [1], "moved": [2]}
    assert all((f["n_common"], f["n_changed"], f["n_moved"]) == (3, 1, 1) for f in found.values())
    assert found["changed"]["units"][0]["changed"] == ["text"]
    assert found["moved"]["units"][0]["difference"]["method"] == "intervals"


def by_rules(lines: Sequence[Sequence[float]], score: float, index: int = 131) -> Label:
    """A label that rules describe, beside an LLM's explanation that predicted these lines."""
    label = predicting(lines, score=score, unit=make_unit(index))
    assert label.explanation is not None
    rules = make_sense_label().results[2]
    return replace(
        label,
        explanation=make_rules(),
        preferred="rules",
        llm=ScoredExplanation(label.explanation, "simulation"),
        results=(*label.results, rules),
    )


def test_the_llm_s_explanations_are_compared_where_rules_describe_the_unit(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    a = written(tmp_path / "a", by_rules(BAD, 0.1), make_label(make_unit(7)))
    b = written(tmp_path / "b", by_rules(GOOD, 0.9), make_label(make_unit(7)))
    ended = cli("diff", a, b)
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "B - A, LLM's" in lines[0]
    row = next(line for line in lines if line.startswith("5:131"))
    assert "+0.00" in row
    assert row.endswith("*")
    assert "median 0.10 in A, 0.90 in B; 1 of 1 score moved, 0.1 would by chance alone" in lines[-1]
    moved = json.loads(cli("diff", a, b, "--only", "moved", "--json").out)
    assert (moved["n_moved"], moved["llm"]["n_moved"], len(moved["units"])) == (0, 1, 1)
    unit = moved["units"][0]
    assert (unit["moved"], unit["llm_moved"]) == (False, True)
    assert unit["llm_difference"]["method"] == "paired"
    assert (unit["a"]["llm"]["score"], unit["b"]["llm"]["score"]) == (0.1, 0.9)


def test_a_table_without_the_llm_s_scores_is_compared_by_the_others(
    cli: Cli, tmp_path: Path
) -> None:
    a = Path(written(tmp_path / "a", by_rules(BAD, 0.1)))
    old = tmp_path / "old.parquet"
    table = pq.read_table(a / "labels.parquet")
    names = [name for name in table.schema.names if not name.startswith("llm")]
    pq.write_table(table.select(names), old)
    found = json.loads(cli("diff", str(old), str(a / "labels.parquet"), "--json").out)
    assert (found["n_scored"], found["llm"]) == (1, None)


def test_another_corpus_is_refused_by_name_unless_forced(cli: Cli, tmp_path: Path) -> None:
    other = make_info(provenance=make_provenance(corpus="python"))
    a = written(tmp_path / "a", make_label())
    b = written(tmp_path / "b", make_label(), info=other)
    refused = cli("diff", a, b)
    assert refused.code == 2
    assert "corpus is wiki in A and python in B; add --force" in " ".join(refused.err.split())
    assert refused.out == ""
    forced = cli("diff", a, b, "--force", "--json")
    assert forced.code == 0
    assert json.loads(forced.out)["differing_inputs"] == ["corpus is wiki in A and python in B"]


def test_label_files_are_compared_with_a_word_on_what_is_not_known(
    cli: Cli, tmp_path: Path
) -> None:
    a = written(tmp_path / "a", make_label())
    ended = cli("diff", f"{a}/labels.parquet", f"{a}/labels.jsonl.gz")
    assert ended.code == 0
    assert "whether they are the same is not known" in ended.err
    assert "1 unit in both, 0 with another label" in ended.out


def test_a_hook_point_that_all_units_have_stands_once_above_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    hook = "blocks.5.hook_resid_post.sae_of_a_long_name"
    a = written(tmp_path / "a", *(make_label(make_unit(i, hook=hook)) for i in (1, 2)))
    lines = cli("diff", a, a).out.splitlines()
    assert lines[0].strip() == hook
    assert sum(hook in line for line in lines) == 1
    assert any(line.startswith("sae_of_a_long_name/2 +") for line in lines)
    found = cli("search", a, "rivers").out
    assert found.count(hook) == 1
    assert "sae_of_a_long_name/2 " in found


def test_what_is_no_dictionary_is_one_sentence_and_exit_2(cli: Cli, tmp_path: Path) -> None:
    a = written(tmp_path / "a", make_label())
    for wrong in (str(tmp_path / "none"), str(tmp_path)):
        ended = cli("diff", a, wrong)
        assert ended.code == 2
        first, last = ended.err.splitlines()
        assert first.startswith("reading ")
        assert last.startswith("error: ")


def test_labels_of_one_text_with_other_rules_are_named_as_changed(cli: Cli, tmp_path: Path) -> None:
    def ruled(program: str) -> Label:
        senses = (replace(SENSES[0], program=program), *SENSES[1:])
        return make_sense_label(explanation=make_llm_explanation(senses))

    a = written(tmp_path / "a", ruled("8: token ~ / and/"))
    b = written(tmp_path / "b", ruled("7: token ~ / or/"))
    found = json.loads(cli("diff", a, b, "--json").out)
    assert [unit["changed"] for unit in found["units"]] == [["rules"]]
    same = json.loads(cli("diff", a, a, "--json").out)
    assert (same["n_changed"], same["units"][0]["changed"]) == (0, [])
