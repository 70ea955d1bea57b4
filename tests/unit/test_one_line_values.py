"""What people print fits one line and says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from factories import make_job, make_label, make_sets
from pydantic import BaseModel
from tiny import tiny_corpus, tiny_subject

import autointerp
from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.feature_probes import (
    BaselineLine,
    FeatureProbes,
    FeatureVerdict,
    ProbeLine,
)
from autointerp.core.feature_search import ClassCounts, FoundLayer
from autointerp.core.ids import Side
from autointerp.core.one_line import numbers, quoted
from autointerp.core.scores import Score
from autointerp.core.unit_sites import SitePair, SiteText, UnitSite, UnitSites
from autointerp.dictionary import LabelledUnits, open_example
from autointerp.statistics.text_differences import TextDifference, TextScore
from autointerp.store.labels import MemoryUnitStore

LINE = 160


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "-"),
        ("", '""'),
        ('says "no"\n\x1b[31m', '"says \\"no\\"\\n\\u001b[31m"'),
        ("\x7f\x9b31m \u202eevil\u2028", '"\\u007f\\u009b31m \\u202eevil\\u2028"'),
        ("a" * 48, f'"{"a" * 48}"'),
        ("a" * 49, f'"{"a" * 45}..."'),
    ],
)
def test_texts_are_cut_and_their_control_characters_told(text: str | None, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((), "none"),
        ((7,), "7"),
        ((0, 1, 2, 3, 4, 5, 6), "0-6"),
        ((3, 8, 20), "3, 8, 20"),
        ((1, 3, 5, 7, 9, 11), "6 from 1 to 11"),
    ],
)
def test_numbers_are_told_by_their_ends(values: tuple[int, ...], shown: str) -> None:
    assert numbers(values) == shown


def test_a_label_says_its_unit_status_score_and_text() -> None:
    label = make_label()
    shown = repr(label)
    assert re.fullmatch(r"Label\(\d+:\d+ [+-], ok, -?\d\.\d\d( \[.*\])?, \".*\"\)", shown)
    assert len(shown) <= LINE
    assert all(len(repr(result)) <= LINE for result in label.results)
    assert repr(label.stats) == "NeuronStats(active on 5.00% of 4,096 tokens, from -2 to 4)"


def test_a_score_is_told_with_its_interval_or_why_there_is_none() -> None:
    assert Score("population", 0.781, 0.714, 0.8199, 20, None).brief == "0.78 [0.71, 0.82]"
    assert Score("population", 0.5, None, None, 20, None).brief == "0.50"
    assert Score.undefined("population", "too few windows").brief == "too few windows"


def test_a_job_says_what_is_not_as_usual_and_no_password() -> None:
    job = autointerp.JobSpec(
        subject="tiny",
        units="5:0-3",
        llm="http://me:secret@localhost/v1",
        corpus=autointerp.CorpusConfig(n_tokens=4096),
    )
    assert str(job) == f"{job}" == repr(job)
    assert "secret" not in repr(job)
    assert repr(job).startswith("JobSpec(subject='tiny', units='5:0-3', corpus={'n_tokens': 4096}")


@pytest.mark.parametrize(
    "value",
    [
        autointerp.HookUnits("blocks.5.mlp.hook_post", tuple(range(1536))),
        autointerp.OpenAICompatible("http://me:secret@localhost:9/v1", "judge"),
        autointerp.Client("http://localhost:9"),
        autointerp.ScriptedModel(lambda _: ""),
    ],
)
def test_a_value_is_one_line_that_begins_with_its_class(value: Any) -> None:
    shown = repr(value)
    assert shown.startswith(f"{type(value).__name__}(")
    assert len(shown) <= LINE
    assert "\n" not in shown
    assert "secret" not in shown


def public_values(folder: Path) -> Iterator[Any]:
    """A value of every class that the package names."""
    subject = tiny_subject()
    corpus = tiny_corpus(folder, subject)
    summary = autointerp.collect(subject, corpus, units=autointerp.all_neurons(subject))
    autointerp.save_summary(summary, folder / "summary.safetensors")
    yield from (subject, corpus, summary, *summary.values(), *autointerp.all_neurons(subject))
    yield autointerp.open_summary(folder / "summary.safetensors")
    yield autointerp.live_activations(subject, ["the river"], units="0:0-2")
    yield autointerp.simulation_scores(real=[[0.0, 1.0, 2.0]], predicted=[[0.0, 1.0, 1.0]])
    yield autointerp.OpenAICompatible("http://localhost:9/v1", "judge")
    yield from (autointerp.Client("http://localhost:9"), autointerp.ScriptedModel(lambda _: ""))
    yield from (make_job(), make_sets(), autointerp.CollectConfig(top_k=7))
    yield from (LabelledUnits((make_label(),), MemoryUnitStore(), make_job()), make_label())
    example = open_example()
    yield from (example, example.manifest, *example)
    yield from (label.read_records() for label in example)
    yield a_report()
    yield a_match_report()
    yield a_causal_answer()
    yield from (a_find_report(), a_probe_report())
    yield autointerp.CausalRequest(EvidenceKind.STEERING)
    yield autointerp.study_layers(dictionary=example)


def a_report() -> autointerp.RescoreReport:
    """One label with a score on each of two texts."""
    score = TextScore(0.4, 0.31, 0.52, n_windows=60, n_documents=20, reason=None)
    difference = TextDifference(-0.3, -0.4, -0.2, p=0.001, reason=None)
    unit, text = make_label().unit, "names of rivers and of towns that stand on their banks " * 3
    label = autointerp.RescoredLabel(
        *(unit, Side.POSITIVE, text, "rules", None, None, score, score, difference), q=0.01
    )
    return autointerp.RescoreReport("tiny", "wiki", "python", 8206, 300, (label,))


def a_match_report() -> autointerp.MatchReport:
    """One unit of each of two models."""
    unit, corpus = make_label().unit, "a folder of texts " * 20
    match = autointerp.UnitMatch(unit, unit, 0.9, 0.8, 0.95, 0.01, True, 0.8, 0.85)
    return autointerp.MatchReport("one", "two", corpus, 4000, 3000, 20, 8, (match,), (match,))


def a_find_report() -> autointerp.FindReport:
    """One unit that tells a feature."""
    unit, marks, counts = make_label().unit, "years " * 40, ClassCounts(90, 9000, 40, 12)
    found = autointerp.FeatureUnit(unit, Side.POSITIVE, 1.5, None, 0.9, 0.2, 0.8, "years " * 40)
    layer = FoundLayer(unit.hook, 1536, unit, 0.9)
    head = ("tiny", "years", marks, marks, "wiki", "average_precision", 1536)
    return autointerp.FindReport(*head, counts, counts, (found,), (layer,))


def a_probe_report() -> autointerp.ProbeReport:
    """A feature that is carried by one unit."""
    unit, marks, counts = make_label().unit, "years " * 40, ClassCounts(90, 9000, 40, 12)
    score = Score("mcc", 0.8, 0.7, 0.9, 60, None)
    line = ProbeLine(
        k=1,
        units=(unit,),
        weights=(0.5,),
        f1=score,
        precision=score,
        recall=score,
        mcc=score,
        average_precision=score,
        certified=True,
        loss=0.3,
        bound=0.3,
        gap=0.0,
        n_searched=50,
        n_subsets=50,
    )
    shuffled = BaselineLine("shuffled labels", 1, 0.0, 0.1)
    verdict = FeatureVerdict("one unit", "as fine", (unit,), 0.8, 0.1, "k = 1 does as well " * 9)
    probes = FeatureProbes((unit.hook,), 64, 900, 900, (line,), score, (shuffled,), verdict)
    head = ("tiny", "years", marks, marks, "wiki", 1536)
    return autointerp.ProbeReport(*head, counts, counts, probes)


def a_causal_answer() -> autointerp.CausalEvidence:
    """One unit at two sites, with its texts."""
    unit = make_label().unit
    text = SiteText(3, tuple("abcdefgh" * 20), 2, 0.7)
    site = UnitSite(unit, 0.2, 0.01, 1.5, -0.2, (text,))
    pair = SitePair("hook_pre", "hook_post", 0.5, 0.4, 0.6, 0.9, 0.1)
    sites = UnitSites("wiki", 4000, 20, 20, (site, site), (pair,))
    return autointerp.CausalEvidence(EvidenceKind.SITES, "tiny", sites=(sites,))


def parts_of(value: Any) -> Iterator[Any]:
    """The value and everything of ours in it."""
    if isinstance(value, str | int | float | Enum | None):
        return
    yield value
    if is_dataclass(value):
        for field in fields(value):
            yield from parts_of(getattr(value, field.name))
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from parts_of(getattr(value, name))
    elif isinstance(value, list | tuple | set | frozenset):
        for part in list(value)[:20]:
            yield from parts_of(part)
    elif isinstance(value, Mapping):
        yield from parts_of(list(value.values()))


def test_every_public_value_and_what_is_in_it_is_printed_on_one_line(tmp_path: Path) -> None:
    seen, long = set(), {}
    for value in public_values(tmp_path):
        for part in parts_of(value):
            if type(part).__module__.startswith("autointerp."):
                seen |= {c.__name__ for c in type(part).__mro__}
                shown = repr(part)
                if len(shown) > LINE or "\n" in shown:
                    long[type(part).__name__] = shown[:300]
    assert long == {}
    classes = {
        name
        for name in autointerp.__all__
        if isinstance(kind := getattr(autointerp, name), type)
        and not issubclass(kind, BaseException | Enum)
    }
    assert classes - seen == set()
    assert {"ActivationRecord", "ScorerResult", "Trial", "Provenance", "Manifest"} <= seen


def test_values_of_notebooks_have_html(tmp_path: Path) -> None:
    shown = [value for value in public_values(tmp_path) if hasattr(value, "_repr_html_")]
    pages = {type(value).__name__: value._repr_html_() for value in shown}
    assert {"Label", "LabelledUnits", "Dictionary", "SubjectModel", "Summary"} <= pages.keys()
    assert all(page.startswith("<div>") and "<script" not in page for page in pages.values())
