"""``inspect`` shows a subject, an SAE or a corpus, and refuses in a sentence what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from native_models import native_config, native_model, write_tl_folder
from sae_folders import HOOK, sae_config, sae_tensors, write_sae
from saved_folders import write_splits
from tiny import tiny_gpt2, tiny_llama, tiny_texts, tiny_tokenizer, write_texts

SMALL = ("--tokens", "300", "--n-ctx", "16")


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    """A folder as transformers writes it."""
    folder = tmp_path / "tiny"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path, tiny_texts(30, n_words=40))


def told(cli: Cli, *arguments: str) -> dict[str, Any]:
    ended = cli("inspect", *arguments, "--json")
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.out))


@pytest.mark.parametrize("made", [tiny_llama, tiny_gpt2])
def test_a_subject_is_told_without_its_weights_as_with_them(
    cli: Cli, tmp_path: Path, made: Any
) -> None:
    model = made()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    before, after = told(cli, str(tmp_path)), told(cli, str(tmp_path), "--load")
    assert (before["weights_read"], after["weights_read"]) == (False, True)
    assert before["hooks"] == after["hooks"]
    widths = {hook["hook"]: hook["width"] for hook in before["hooks"]}
    assert widths["blocks.N.hook_resid_post"] == 16
    assert before["n_parameters"] == sum(p.numel() for p in model.parameters())
    assert before["stored_dtypes"] == {"float32": before["n_parameters"]}
    assert before["memory"]["bfloat16"] * 2 == before["memory"]["float32"]
    assert before["collecting_all"]["memory"] > 2**20


def test_a_subject_for_people_fits_80_columns(
    cli: Cli, subject: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = cli("inspect", str(subject))
    assert ended.code == 0
    for named in ("3, 16 wide", "72 (24 a layer, gated)", "blocks.N.mlp.hook_post", "0-2"):
        assert named in ended.out
    assert "collecting all units over 65,536 tokens needs about" in ended.out
    assert "looked at in" in ended.err
    # However long the path is, it is wrapped and whole.
    assert str(subject) in "".join(ended.out.split())


def test_an_sae_is_told_without_a_subject(cli: Cli, tmp_path: Path) -> None:
    metadata = {"hook_name": HOOK, "model_name": "tiny", "context_size": 128, "prepend_bos": True}
    folder = write_sae(tmp_path / "x", "topk", config=sae_config("topk", metadata=metadata))
    assert told(cli, str(folder)) | {"seconds": 0} == told(cli, f"sae:{folder}") | {"seconds": 0}
    found = told(cli, str(folder))
    assert (found["architecture"], found["k"], found["hook"]) == ("topk", 5, HOOK)
    assert (found["d_in"], found["n_latents"], found["context_size"]) == (16, 40, 128)
    assert found["fits"] is None


def test_dead_latents_are_counted_on_a_subject(
    cli: Cli, subject: Path, tmp_path: Path, texts: Path
) -> None:
    tensors = sae_tensors()
    tensors["b_enc"][:10] = -1e9
    folder = write_sae(tmp_path / "x", tensors=tensors)
    on_it = (str(folder), "--subject", str(subject), "--corpus", str(texts), *SMALL)
    found = told(cli, *on_it)
    assert found["fits"] is True
    assert 10 <= found["n_dead"] < 40
    assert 300 <= found["n_tokens"] < 364
    assert found["likely_cause"] is None
    assert 0 < found["mean_active"] < 40
    tensors["b_enc"][:] = -1e9
    write_sae(tmp_path / "x", tensors=tensors)
    assert "hook point is likely not" in told(cli, *on_it)["likely_cause"]


def test_an_sae_that_does_not_fit_ends_with_1_and_says_why(
    cli: Cli, subject: Path, tmp_path: Path
) -> None:
    folder = write_sae(
        tmp_path / "x", config=sae_config(metadata={"hook_name": "blocks.9.hook_resid_post"})
    )
    ended = cli("inspect", f"{folder}@blocks.1.mlp.hook_post", "--subject", str(subject))
    assert ended.code == 1
    assert "no: sae_x reads 16 values, but blocks.1.mlp.hook_post of tiny is 24" in " ".join(
        ended.out.split()
    )
    assert cli("inspect", str(folder), "--subject", str(subject)).code == 1


def test_a_corpus_is_counted_by_split_and_language(cli: Cli, tmp_path: Path, subject: Path) -> None:
    english = "It was the best of times and it is the worst that there was in all of it. "
    german = "Es war die beste der Zeiten und es ist nicht die, mit der auch ein Kind zu den "
    rows = [f"{i} {english * 4}" for i in range(60)] + [f"{i} {german * 4}" for i in range(20)]
    body = [*rows, *rows[:5], None, "", "тест " * 60]
    folder = write_splits(tmp_path / "saved", {"train": {"body": body}})
    [source] = told(cli, f"{folder}:body", "--n-ctx", "16")["sources"]
    assert source["name"] == f"{folder}:train:body"
    assert (source["n_documents"], source["n_read"]) == (88, 88)
    assert (source["n_empty"], source["n_copies"]) == (2, 5)
    assert sum(split["n_documents"] for split in source["splits"].values()) == 81
    assert source["languages"]["English"] == pytest.approx(0.75, abs=0.05)
    assert set(source["languages"]) == {"English", "German", "Cyrillic script"}
    counted = told(cli, f"{folder}:body", "--subject", str(subject))
    assert counted["tokens_counted_by"] == str(subject)
    assert counted["sources"][0]["n_tokens"] != source["n_tokens"]


def test_every_source_of_a_mixture_is_told(cli: Cli, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "one and the same"}\n')
    found = told(cli, f"{texts}=0.5,{tmp_path}/a.jsonl:body=0.5")
    assert [source["n_documents"] for source in found["sources"]] == [30, 1]


def test_a_model_in_transformer_lens_own_layout_has_what_it_has_when_loaded(
    cli: Cli, tmp_path: Path
) -> None:
    folder = write_tl_folder(tmp_path / "native", native_config(), native_model(n_steps=0))
    before, after = told(cli, str(folder)), told(cli, str(folder), "--load")
    assert before["hooks"] == after["hooks"]
    assert (before["gated"], after["gated"]) == (False, False)
    assert {"blocks.N.mlp.hook_mid", "blocks.N.mlp.hook_post"} <= {
        h["hook"] for h in after["hooks"]
    }


@pytest.mark.parametrize("config", ["[1]", '{"a": 1}', "{"])
def test_a_config_json_of_something_else_is_no_subject(
    cli: Cli, tmp_path: Path, config: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    ended = cli("inspect", str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert "cannot be inspected: " in ended.err
    assert "name a subject model" in ended.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-thing", "nothing of that name is on this machine; name a subject model"),
        ("/nowhere/at/all", "nothing lies there; name a subject model"),
        ("{folder}", "it holds a.md, and no file that is read; name a subject model"),
        ("{folder}/empty", "the folder is empty, and no file that is read; name"),
        ("{folder}/a.md", "is not a file of a known kind"),
        ("sae:{folder}:0-9", "names units; inspect takes the SAE alone"),
        ("sae:{folder}", "is not a SAELens folder: it has no cfg.json"),
        ("wiki=1,nowhere.txt=1", "nothing lies there"),
        ("x" * 400, "nothing of that name is on this machine"),
        ("x" * 400 + ".gguf", "nothing of that name is on this machine"),
        ("{folder}/" + "x" * 400, "nothing lies there"),
        ("sae:{folder}/" + "x" * 400, "is not an SAE folder"),
        ("sae:" + "x" * 400, "is not an SAE folder"),
        ("partial:" + "x" * 400, "nothing of that name is on this machine"),
        ("a\0b", "nothing of that name is on this machine"),
    ],
)
def test_what_is_none_of_the_three_is_a_sentence(
    cli: Cli, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.md").write_text("x")
    named = name.format(folder=tmp_path)
    if named == str(tmp_path):
        (tmp_path / "empty").rmdir()
    ended = cli("inspect", named)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_of_one_long_document_four_million_characters_are_read(cli: Cli, tmp_path: Path) -> None:
    long, short = tmp_path / "long.txt", tmp_path / "short.txt"
    long.write_text("the old stones sleep. " * 200_000)
    short.write_text("the old stones sleep. " * 200)
    [source] = told(cli, str(long))["sources"]
    assert source["n_characters"] == 4_000_000
    assert source["n_tokens"] == 1_000_000
    assert source["n_tokens_of_all"] == 1_100_000
    assert "1; of the last 91% was read" in cli("inspect", str(long)).out
    [whole] = told(cli, str(short))["sources"]
    assert (whole["n_characters"], whole["n_tokens_of_all"]) == (4_400, 1_100)


def test_an_option_that_would_be_passed_over_is_refused(
    cli: Cli, subject: Path, texts: Path, tmp_path: Path
) -> None:
    sae = write_sae(tmp_path / "x", "topk")
    for named, *option in (
        (texts, "--tokens", "300"), (texts, "--load"), (sae, "--load"), (subject, "--subject", "x"),
        (subject, "--corpus", "wiki"), (texts, "--corpus", "wiki")
    ):  # fmt: skip
        ended = cli("inspect", str(named), *option)
        assert (ended.code, ended.out) == (2, "")
        assert f"{option[0]} says nothing about a" in ended.err
    assert (
        f"inspect wiki --subject {subject} looks at"
        in cli("inspect", str(subject), "--corpus", "wiki").err
    )
