"""Latents of an SAE beside neurons: shares that can be counted by hand, pairs, and bad input."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sae_folders import HOOK, sae_config, sae_tensors, write_sae
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.core.study_report import StudyReport, StudyValue
from autointerp.subjects import open_sae

N_DEAD = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, text, and an SAE some of whose latents can never be active."""
    folder = tmp_path_factory.mktemp("latents")
    tiny_gpt2().save_pretrained(folder / "tiny")
    tiny_tokenizer().save_pretrained(folder / "tiny")
    write_texts(folder, tiny_texts(300))
    tensors = sae_tensors()
    tensors["b_enc"][:N_DEAD] = -1e6
    write_sae(folder / "sae", tensors=tensors)
    return folder


def study(folder: Path, **changes: Any) -> StudyReport:
    options = {
        "sae": str(folder / "sae"),
        "units_each": 6,
        "corpus": str(folder / "texts"),
        "tokens": 9000,
    }
    return ai.study_latents(str(folder / "tiny"), **{**options, **changes})


def table(report: StudyReport, title: str) -> list[tuple[Any, ...]]:
    return [row for one in report.tables if one.title == title for row in one.rows]


def test_what_is_dead_and_dense_is_counted(made: Path) -> None:
    report = study(made)
    subject = ai.load_subject(str(made / "tiny"))
    corpus = ai.load_corpus(str(made / "texts"), subject, n_tokens=9000)
    hook = subject.attach(open_sae(str(made / "sae")))
    values = []
    for window in range(corpus.n_windows):
        ids = corpus[window].token_ids
        [line] = subject.read_rows([ids], {hook: range(subject.width(hook))})
        values.append(line[:, : len(ids)])
    activations = np.concatenate(values, axis=1)
    density = (activations > 0).mean(axis=1)
    latents, neurons = table(report, "Units")
    assert (latents[0], latents[1]) == ("latents", 40)
    assert latents[2].value == pytest.approx((activations.max(axis=1) <= 0).mean())
    assert latents[2].value >= N_DEAD / 40
    assert latents[3].value == pytest.approx((density > 0.1).mean())
    # The middle of what latents in pairs do: at a tenth of their peak or more, within a bin.
    by_index = {
        int(str(row[0]).split(" ")[0]): float(re.findall(r"\((.*) %\)", str(row[0]))[0]) / 100
        for row in table(report, "Every pair")
    }
    for index, share in by_index.items():
        least = 0.1 * activations[index].max()
        low, high = ((activations[index] >= factor * least).mean() for factor in (1.15, 0.87))
        assert low - 0.01 <= share <= high + 0.01
    assert neurons[1] == subject.width("blocks.1.mlp.hook_post")


def test_pairs_are_scored_and_told(made: Path, tmp_path: Path) -> None:
    report = study(made, out=tmp_path / "out")
    pairs = table(report, "Every pair")
    assert len(pairs) == 6
    assert len({row[3] for row in pairs}) == 6
    both = [(row[1], row[4]) for row in pairs if row[1] is not None and row[4] is not None]
    [paired, *_] = table(report, "Latents less neurons")
    assert paired[0] == f"in {len(both)} pairs"
    assert isinstance(paired[1], StudyValue)
    assert paired[1].value == pytest.approx(float(np.mean([a - b for a, b in both])))
    assert "latents" in report.paragraphs[0]
    # What the token tables alone differ by stands beside it, of the same pairs.
    labels = ai.open_dictionary(tmp_path / "out" / "labels")
    tables = {(one.unit.hook, one.unit.index): one.score("lookup").value for one in labels}
    hooks = (f"{HOOK}.sae_sae", "blocks.1.mlp.hook_post")
    differences = []
    for row in pairs:
        if row[1] is not None and row[4] is not None:
            places = (int(str(row[at]).split(" ")[0]) for at in (0, 3))
            first, second = map(tables.get, zip(hooks, places, strict=True))
            if first is not None and second is not None:
                differences.append(first - second)
    beside = table(report, "Latents less neurons")[1]
    assert beside[0] == f"token table, in {len(differences)} pairs"
    assert beside[1].value == pytest.approx(float(np.mean(differences)))
    again = study(made, out=tmp_path / "out", resume=True)
    assert again == report


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"units_each": 1}, "units_each is 1; give 2 or more"),
        ({"sae": "none-there"}, "none-there"),
        ({"subject": "other"}, "576"),
    ],
)
def test_what_cannot_be_is_refused(made: Path, changes: dict[str, Any], said: str) -> None:
    if "subject" in changes:
        wide = sae_config(d_in=576)
        folder = made / "wide"
        write_sae(folder, config=wide, tensors=sae_tensors())
        changes = {"sae": str(folder)}
    with pytest.raises(InputError, match=said):
        study(made, **changes)


def test_without_weights_and_with_dead_latents_alone_it_is_refused(
    made: Path, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(made / "sae", tmp_path / "bare"))
    (bare / "sae_weights.safetensors").unlink()
    with pytest.raises(InputError, match="has no sae_weights.safetensors"):
        study(made, sae=str(bare))
    tensors = sae_tensors()
    tensors["b_enc"][:] = -1e6
    write_sae(tmp_path / "dead", tensors=tensors)
    with pytest.raises(InputError, match=f"0 of 40 latents of {HOOK}.* are active in the text"):
        study(made, sae=str(tmp_path / "dead"))
