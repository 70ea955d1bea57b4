"""Whether units are the best of their layer for their own labels: brute force and bad input."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import label_digest
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import SilentProgress
from autointerp.core.seeds import derive_seed
from autointerp.dictionary.chosen_labels import chosen_labels
from autointerp.statistics.studies.crossed_margins import second_halves
from autointerp.store.labels.folder_store import FolderLabelStore
from autointerp.wiring.own_label_ranks import rank_own_labels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, and a run that labelled some of its neurons by rules."""
    folder = tmp_path_factory.mktemp("ranks")
    tiny_gpt2().save_pretrained(folder / "tiny")
    tiny_tokenizer().save_pretrained(folder / "tiny")
    texts = write_texts(folder, tiny_texts(300))
    subject = ai.load_subject(str(folder / "tiny"))
    corpus = ai.load_corpus(str(texts), subject, n_tokens=9000)
    ai.label(subject, units="1:0-7", corpus=corpus, llm="none").save(folder / "run")
    return folder


def test_ranks_are_those_of_brute_force(made: Path) -> None:
    dictionary = ai.open_dictionary(made / "run")
    chosen = chosen_labels(dictionary, units=None, limit=None, seed=0)
    ranks = list(
        rank_own_labels(dictionary, chosen, subject=str(made / "tiny"), progress=SilentProgress())
    )
    assert [(one.unit, one.side) for one in ranks] == list(chosen)
    subject = ai.load_subject(str(made / "tiny"))
    corpus = ai.load_corpus(str(made / "texts"), subject, n_tokens=9000)
    hook = chosen[0][0].hook
    every = {hook: range(subject.width(hook))}
    n_ranked = n_crossed = 0
    for one in ranks:
        label = dictionary.label(one.unit, one.side)
        assert label is not None
        if one.rank is None:
            assert one.reason
            continue
        n_ranked += 1
        trials = [t for t in label.result(label.preferred or "").trials if t.predicted is not None]
        weights = np.concatenate([np.full(len(t.predicted or ()), t.weight) for t in trials])
        predicted = np.concatenate([np.array(t.predicted) for t in trials])
        lines = [subject.read_rows([corpus[t.window].token_ids], every)[0] for t in trials]
        values = np.concatenate(lines, axis=1).astype(np.float64)
        scores = {
            (unit, side): weighted(np.maximum(0, sign * values[unit]), predicted, weights)
            for unit in every[hook]
            for side, sign in ((Side.POSITIVE, 1), (Side.NEGATIVE, -1))
        }
        own = scores[one.unit.index, one.side]
        others = {
            unit: max(scores[unit, side] for side in Side)
            for unit in every[hook]
            if unit != one.unit.index
        }
        assert one.own == pytest.approx(own, abs=1e-4)
        assert one.own == pytest.approx(label.headline.value, abs=1e-4)
        assert one.best_other == pytest.approx(max(others.values()), abs=1e-4)
        assert one.rank == 1 + sum(value > own + 1e-4 for value in others.values())
        documents = [corpus[t.window].document for t in trials]
        names = sorted(set(documents))
        assert (one.n_windows, one.n_documents) == (len(trials), len(names))
        lengths = [len(t.predicted or ()) for t in trials]
        places = np.repeat([names.index(document) for document in documents], lengths)
        seed = derive_seed(0, str(one.unit), str(one.side))
        second = second_halves(places, weights * predicted**2, seed=seed)[places]
        expected = crossed(one, values, predicted, weights, second)
        if expected is None:
            assert (one.margin, one.rivals) == (None, ())
            assert one.reason
            continue
        n_crossed += 1
        assert one.margin == pytest.approx(expected[0], abs=2e-4)
        assert one.rivals == expected[1]
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.margin < one.high
        assert (one.lead_low is None) == (one.rank > 1)
        if one.lead_low is not None:
            assert one.lead_low < one.own - one.best_other
    assert n_ranked >= 4
    assert n_crossed >= 4


def crossed(
    one: OwnLabelRank,
    values: np.ndarray,
    predicted: np.ndarray,
    weights: np.ndarray,
    second: np.ndarray,
) -> tuple[float, tuple[UnitId, ...]] | None:
    """The margin over the best others of the other halves, and these; None where one is flat."""
    sides = {Side.POSITIVE: 1, Side.NEGATIVE: -1}
    own = np.maximum(0, sides[one.side] * values[one.unit.index])
    margins, rivals = [], []
    for half in (~second, second):
        rows = predicted[~half], weights[~half]
        scores = {
            (unit, side): weighted(np.maximum(0, sign * values[unit, ~half]), *rows)
            for unit in range(len(values))
            if unit != one.unit.index
            for side, sign in sides.items()
        }
        unit, side = max(scores, key=scores.__getitem__)
        line = np.maximum(0, sides[side] * values[unit])
        both = [weighted(x[half], predicted[half], weights[half]) for x in (own, line)]
        if min(both) < -1:
            return None
        margins.append(both[0] - both[1])
        rivals.insert(0, UnitId(one.unit.subject, one.unit.hook, unit))
    return float(np.mean(margins)), tuple(dict.fromkeys(rivals))


@pytest.mark.parametrize("n_left", [0, 1])
def test_a_label_with_hardly_any_prediction_has_no_rank_and_says_why(
    made: Path, tmp_path: Path, n_left: int
) -> None:
    folder = Path(shutil.copytree(made / "run", tmp_path / "run"))
    unit, side = chosen_labels(ai.open_dictionary(folder), units=None, limit=None, seed=0)[0]
    label = ai.open_dictionary(folder).label(unit, side)
    assert label is not None
    results = tuple(replace(one, trials=one.trials[:n_left]) for one in label.results)
    FolderLabelStore(folder).put_label(replace(label, results=results))
    found = rank_own_labels(
        ai.open_dictionary(folder),
        [(unit, side)],
        subject=str(made / "tiny"),
        progress=SilentProgress(),
    )
    assert [one.sentence for one in found] == [
        "no rank: fewer than 2 windows have predictions that fit the text"
    ]


def weighted(values: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    if np.ptp(values) == 0 or np.ptp(predicted) == 0:
        return -2.0
    moments = np.cov(np.stack([values, predicted]), aweights=weights, ddof=0)
    if min(moments[0, 0], moments[1, 1]) <= 0:
        return -2.0
    return float(moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1]))


def test_a_label_of_another_unit_is_followed_by_that_one(made: Path, tmp_path: Path) -> None:
    """What describes one unit, put at another: the first follows it more closely."""
    dictionary = ai.open_dictionary(made / "run")
    best = max(
        (label for label in dictionary if label.headline.value is not None),
        key=lambda label: label.headline.value or 0.0,
    )
    label = dictionary.label(best.unit, best.side)
    assert label is not None
    folder = Path(shutil.copytree(made / "run", tmp_path / "run"))
    other = replace(best.unit, index=(best.unit.index + 1) % 8)
    FolderLabelStore(folder).put_label(replace(label, unit=other))
    planted = ai.open_dictionary(folder)
    [moved] = rank_own_labels(
        planted, [(other, best.side)], subject=str(made / "tiny"), progress=SilentProgress()
    )
    assert moved.rank is not None
    assert moved.rank > 1
    assert moved.best_other == pytest.approx(best.headline.value, abs=0.2)
    assert "more closely" in moved.sentence


def test_the_report_counts_them_by_layer(made: Path, tmp_path: Path) -> None:
    report = ai.study_ranks(made / "run", subject=str(made / "tiny"), out=tmp_path / "out")
    [row] = next(t.rows for t in report.tables if t.title == "By hook point")
    assert row[0] == "blocks.1.mlp.hook_post"
    assert (tmp_path / "out" / "report.html").is_file()
    assert re.match(r"\d+ of \d+ labelled units", report.paragraphs[0])


class Told:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, stage: str, amount: int) -> None:
        """Ignored."""

    def at(self, stage: str, place: str) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_ranks_are_kept_beside_the_labels_and_are_those_of_single_units(
    made: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made / "run", tmp_path / "run"))
    told, where = Told(), {"subject": str(made / "tiny"), "keep": True}
    first = ai.study_ranks(folder, progress=told, **where)
    assert any("tokens are read, about" in note for note in told.notes)
    dictionary = ai.open_dictionary(folder)
    chosen = chosen_labels(dictionary, units=None, limit=None, seed=0)
    for unit, side in chosen:
        [kept] = dictionary.evidence(unit)
        label = dictionary.label(unit, side)
        assert label is not None
        assert [(one.unit, one.side) for one in kept.evidence.ranks] == [(unit, side)]
        assert kept.source.label == label_digest(label)
        assert kept.source.corpus == label.provenance.corpus
    # A second study measures nothing, and neither does the command about the same units.
    later = Told()
    again = ai.study_ranks(folder, progress=later, **where)
    assert later.notes == []
    assert again.tables == first.tables
    alone = ai.causal_evidence("1:0-7", "rank", folder=folder, subject=where["subject"])
    ranks = {one.unit: one for one in alone.ranks}
    for unit, _ in chosen:
        [kept] = dictionary.evidence(unit)
        assert kept.evidence.ranks == (ranks[unit],)
    reused = ai.causal_evidence("1:0-7", "rank", folder=folder, keep=True, subject=where["subject"])
    assert any(f"{len(chosen)} of {len(chosen)} units were answered" in n for n in reused.notes)
    assert reused.ranks == alone.ranks


def test_another_text_and_other_weights_are_refused(made: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(made, tmp_path / "moved"))
    manifest = moved / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(made), str(moved)))
    for path in (moved / "texts").iterdir():
        path.write_text(f"{path.read_text()} and more")
    with pytest.raises(InputError, match="its documents have changed"):
        ai.study_ranks(moved / "run", subject=str(moved / "tiny"))
    tiny_gpt2(n_layers=3).save_pretrained(moved / "tiny")
    with pytest.raises(InputError, match="weights"):
        ai.study_ranks(moved / "run", subject=str(moved / "tiny"))


def test_what_has_no_label_is_refused(made: Path) -> None:
    with pytest.raises(InputError, match="has no label of 0:3"):
        ai.study_ranks(made / "run", units="0:3")
    with pytest.raises(InputError, match="limit is 0"):
        ai.study_ranks(made / "run", limit=0)
