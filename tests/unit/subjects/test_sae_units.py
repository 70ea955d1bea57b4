"""Which latents of an SAE are meant, at which hook point, and what the SAE was made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from noted_progress import NotedProgress
from sae_folders import HOOK, sae_config, sae_tensors, write_sae
from safetensors.torch import save_file
from tiny import tiny_corpus, tiny_gpt2, tiny_subject

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.subjects import HookUnits, SubjectModel, parse_units, reading_notes
from autointerp.subjects.reading_notes import same_model

OTHER = "blocks.0.hook_resid_post"
NEVER = -1e9


def written(folder: Path, **metadata: Any) -> Path:
    known = {"hook_name": HOOK, "model_name": "tiny", **metadata}
    kept = {name: value for name, value in known.items() if value is not None}
    return write_sae(folder, config=sae_config(metadata=kept))


def notes(subject: SubjectModel, spec: str, *, n_ctx: int = 16) -> tuple[str, ...]:
    units = parse_units(spec, subject)
    return reading_notes(spec, subject, "hook_post", units, n_ctx=n_ctx)


def test_a_hook_point_is_named_where_cfg_json_does_not_say_it(tmp_path: Path) -> None:
    folder, subject = written(tmp_path / "x", hook_name=None), tiny_subject()
    with pytest.raises(InputError, match=r"name it behind the folder: .*x@blocks\.5\.hook_resid"):
        parse_units(f"sae:{folder}:0-9", subject)
    [units] = parse_units(f"sae:{folder}@{OTHER}:0-9", subject)
    assert units == HookUnits(f"{OTHER}.sae_x", tuple(range(10)))
    assert notes(subject, f"sae:{folder}@{OTHER}:0-9") == ()


def test_a_hook_point_that_is_named_counts_before_cfg_json_which_is_told(tmp_path: Path) -> None:
    folder, subject = written(tmp_path / "x"), tiny_subject()
    same = parse_units(f"sae:{folder}@{HOOK}:0", subject)
    assert same == parse_units(f"sae:{folder}:0", subject)
    [note] = notes(subject, f"sae:{folder}@{OTHER}:0")
    assert note == f"sae_x: read at {OTHER} as asked, while cfg.json names '{HOOK}'"


def test_directions_without_metadata_are_read_at_the_hook_point_that_is_named(
    tmp_path: Path,
) -> None:
    file, subject = tmp_path / "d.safetensors", tiny_subject()
    save_file({"directions": torch.eye(16)}, file)
    with pytest.raises(InputError, match="name it, dirs:"):
        parse_units(f"dirs:{file}", subject)
    [units] = parse_units(f"dirs:{file}@{OTHER}:random:3", subject)
    assert units.hook == f"{OTHER}.dirs_d"
    assert len(units.indices) == 3


def test_a_hook_point_of_another_width_is_refused_with_those_that_fit(tmp_path: Path) -> None:
    folder = written(tmp_path / "x")
    with pytest.raises(InputError, match=r"hook_post of tiny is 24 wide; blocks\.1\.hook_resid_pr"):
        parse_units(f"sae:{folder}@blocks.1.mlp.hook_post:0", tiny_subject())


def test_a_draw_of_latents_depends_on_the_seed_and_not_on_the_folder(tmp_path: Path) -> None:
    subject = tiny_subject()
    drawn = [
        parse_units(f"sae:{written(tmp_path / name / 'x')}:random:9", subject, seed=seed)[0].indices
        for name, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(indices)) == 9 and max(indices) < 40 for indices in drawn)
    with pytest.raises(InputError, match="41 asked for, but there are only 40"):
        parse_units(f"sae:{tmp_path}/a/x:random:41", subject)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"model_name": "gpt2-small"}, "made for the model 'gpt2-small', while the subject is ti"),
        ({"model_name": "someone/Tiny"}, None),
        ({"context_size": 17}, None),
        ({"context_size": 128}, "made for contexts of 128 tokens, read in 17; --n-ctx 127 reads"),
        ({"context_size": 1024}, "made for contexts of 1,024 tokens, read in 17"),
        ({"context_size": 16, "prepend_bos": False}, "read without BOS, as their cfg.json asks"),
        ({"prepend_bos": True}, None),
        ({"context_size": "many", "model_name": ["x"]}, None),
    ],
)
def test_what_an_sae_was_made_for_is_compared_with_what_it_is_given(
    tmp_path: Path, metadata: dict[str, Any], said: str | None
) -> None:
    found = notes(tiny_subject(), f"sae:{written(tmp_path / 'x', **metadata)}:0-3")
    assert len(found) == (said is not None)
    assert all(said in note for note in found if said)


def test_an_sae_for_text_with_bos_is_told_where_the_subject_puts_none(tmp_path: Path) -> None:
    subject = tiny_subject(prepend_bos=False)
    [note] = notes(subject, f"sae:{written(tmp_path / 'x', prepend_bos=True)}:0")
    assert note == "sae_x: made for text with BOS in front, which tiny does not put there"


def test_a_difference_that_many_saes_share_is_told_once(tmp_path: Path) -> None:
    spec = ",".join(f"sae:{written(tmp_path / f'x{i}', model_name='gpt2')}:0" for i in range(5))
    [note] = notes(tiny_subject(), spec)
    assert note.startswith("sae_x0, sae_x1, sae_x2 and 2 more: made for the model 'gpt2'")


def test_names_of_one_model_differ_in_owner_letters_and_signs() -> None:
    assert same_model("google/gemma-2-2b", "Gemma_2_2B")
    assert same_model("gpt2-small", "openai-community/gpt2")
    assert not same_model("gemma-2-2b", "gemma-2-2b-it")


def test_only_what_decides_latents_changes_the_digest_of_an_sae(tmp_path: Path) -> None:
    plain = ai.load_sae(written(tmp_path / "a")).digest
    told = ai.load_sae(written(tmp_path / "b", model_name="other", context_size=512)).digest
    assert plain == told == "e068a03ba6fe9e07"


def test_that_all_latents_are_dead_is_told_once_with_the_likely_cause(tmp_path: Path) -> None:
    folder, subject, progress = tmp_path / "x", tiny_subject(tiny_gpt2()), NotedProgress()
    tensors = sae_tensors()
    tensors["b_enc"][:10] = NEVER
    config = sae_config(metadata={"hook_name": HOOK, "model_name": "tiny"})
    write_sae(folder, config=config, tensors=tensors)
    corpus = tiny_corpus(tmp_path, subject, n_ctx=16)
    for spec, told in ((f"sae:{folder}:0-4", 1), (f"sae:{folder}:0-39", 0)):
        progress.notes.clear()
        ai.label(subject, units=spec, corpus=corpus, llm="none", progress=progress)
        causes = [note for note in progress.notes if "normalisation, BOS or hook point" in note]
        assert len(causes) == told
