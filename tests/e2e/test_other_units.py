"""Units that are no neurons go the whole road: latents, directions, heads, the residual stream."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from labelling import Labelling
from sae_folders import HOOK, sae_tensors, write_sae
from safetensors.torch import save_file

import autointerp as ai


def test_latents_of_an_sae_are_labelled_and_its_digest_is_kept(
    labelling: Labelling, tmp_path: Path
) -> None:
    folder = write_sae(tmp_path / "my_sae")
    run = labelling(labelling.arguments("a", "--units", f"sae:{folder}:0-5", llm="none"))
    assert run.code == 0, run.err
    dictionary = ai.open_dictionary(labelling.folder / "a")
    labels = list(dictionary.labels())
    assert [label.unit.index for label in labels] == list(range(6))
    assert {label.unit.hook for label in labels} == {f"{HOOK}.sae_my_sae"}
    [(hook, digest)] = labels[0].provenance.encoders
    assert (hook, len(digest)) == (labels[0].unit.hook, 16)
    assert dictionary.manifest.encoders == {hook: digest}


@pytest.mark.parametrize("collection", ["there", "removed"])
def test_a_run_is_not_continued_with_another_sae_in_the_folder(
    labelling: Labelling, tmp_path: Path, collection: str
) -> None:
    folder = write_sae(tmp_path / "my_sae")
    arguments = labelling.arguments("a", "--units", f"sae:{folder}:0-5", llm="none")
    assert labelling(arguments).code == 0
    if collection == "removed":
        shutil.rmtree(labelling.folder / "a" / "summary")
    (folder / "sae_weights.safetensors").unlink()
    write_sae(folder, tensors=sae_tensors(seed=1))
    again = labelling([*arguments, "--resume"])
    assert again.code == 2
    assert re.search(r"(collected|made) with other settings \(encoders: ", again.err)


@pytest.mark.parametrize(
    "units", ["blocks.1.attn.hook_z:0-3", "blocks.1.hook_resid_pre:0-3", "dirs:FILE:0-3"]
)
def test_heads_residual_stream_and_directions_are_labelled(
    labelling: Labelling, tmp_path: Path, units: str
) -> None:
    file = tmp_path / "some.safetensors"
    directions = torch.randn((4, 16), generator=torch.Generator().manual_seed(0))
    save_file({"directions": directions}, file, metadata={"hook": "blocks.1.hook_resid_post"})
    chosen = units.replace("FILE", str(file))
    run = labelling(labelling.arguments("a", "--units", chosen, llm="none"))
    assert run.code == 0, run.err
    labels = list(ai.open_dictionary(labelling.folder / "a").labels())
    assert [label.unit.index for label in labels] == [0, 1, 2, 3]
    assert all(label.status != "failed" for label in labels)
