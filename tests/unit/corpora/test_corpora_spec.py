from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from opened_files import opened_files

from autointerp.core.errors import InputError
from autointerp.corpora import check_corpus, load_corpus
from autointerp.corpora.sources import Share, open_source, parse_spec


def test_weights_are_made_to_add_up_to_one() -> None:
    assert parse_spec(" wiki=3, python=1 ") == (Share("wiki", 0.75), Share("python", 0.25))


def test_a_name_alone_has_all_the_weight() -> None:
    assert parse_spec("wiki") == (Share("wiki", 1.0),)


def test_a_path_that_exists_is_no_mixture(tmp_path: Path) -> None:
    path = tmp_path / "date=2024,part=1.txt"
    path.write_text("x")
    assert parse_spec(str(path)) == (Share(str(path), 1.0),)


def test_a_folder_in_a_mixture_may_have_an_equals_sign() -> None:
    assert [s.name for s in parse_spec("date=2024/a.txt=1,wiki=1")] == ["date=2024/a.txt", "wiki"]


@pytest.mark.parametrize(
    "part", ["wiki=", "wiki=x", "wiki=0", "wiki=-1", "wiki=nan", "wiki=inf", "=1", "wiki"]
)
def test_a_bad_weight_is_named(tokenizer: Any, part: str) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus(f"python=1,{part}", tokenizer)
    assert f"'{part}' in the mixture" in str(caught.value)
    assert "write for example wiki=0.7,python=0.3" in str(caught.value)


def test_a_source_named_twice_is_refused(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="names a source twice"):
        load_corpus("wiki=1,wiki=2", tokenizer)


@pytest.mark.parametrize("name", ["wikipedia", "", "wiki,python", "x" * 5000])
def test_an_unknown_corpus_names_the_known_ones(tokenizer: Any, name: str) -> None:
    with pytest.raises(InputError, match="the corpus .* does not exist; use wiki, python, a .txt"):
        load_corpus(name, tokenizer)


@pytest.mark.parametrize(
    "name", ["wikipedia", "/nowhere/texts", "python=1,nowhere.txt=2", "partial:x"]
)
def test_what_does_not_exist_is_refused_before_anything_is_opened(name: str) -> None:
    with pytest.raises(InputError, match="does not exist; use wiki"):
        check_corpus(name)


def test_what_may_be_there_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    names = ("wiki", "hf:nobody/nothing", f"python=1,{tmp_path}/empty.txt=2")
    with opened_files() as opened:
        for name in (*names, f"partial:{tmp_path}"):
            check_corpus(name)
    assert str(tmp_path / "empty.txt") not in opened


@pytest.mark.parametrize("name", ["/nowhere/texts", "nowhere.jsonl", "~/nowhere/x.txt"])
def test_a_missing_file_is_called_a_file(tokenizer: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"the file or folder '{name}' does not exist"):
        load_corpus(name, tokenizer)


@pytest.mark.parametrize(
    "spec",
    ["x" * 9000, "x" * 30_000, "/" + "x" * 9000, "hf:a:" + ":" * 9000, "x" * 9000 + "=0"]
    + [f"{'x' * 9000}=1,{'x' * 9000}=1", f"wiki=1,{'x' * 9000}"],
)
def test_a_long_spec_is_shown_by_its_beginning(tokenizer: Any, spec: str) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus(spec, tokenizer)
    assert "..." in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", ["hf:", "hf:a:", "hf:a::text", "hf:a:b:c:d"])
def test_a_malformed_hub_name_shows_the_form(name: str) -> None:
    with pytest.raises(InputError, match=r"is not hf:NAME\[:split\[:field\]\]"):
        open_source(name)


@pytest.mark.parametrize(
    ("name", "package", "module", "extra"),
    [
        ("wiki", "mwparserfromhell", "wikitext", "embedded"),
        ("hf:a", "datasets", "huggingface", "datasets"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, module: str, extra: str
) -> None:
    for loaded in (module, "wiki"):
        monkeypatch.delitem(sys.modules, f"autointerp.corpora.{loaded}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"needs the package {package}.*autointerp.{extra}"):
        open_source(name)


def test_a_hub_name_is_spelled_out() -> None:
    assert open_source("hf:a/b").name == "hf:a/b:train:text"
    assert open_source("hf:a/b:test").name == "hf:a/b:test:text"
    assert open_source("hf:a/b:test:body").name == "hf:a/b:test:body"


def test_a_folder_is_named_without_its_last_slash(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    assert open_source(f"{tmp_path}/").name == str(tmp_path)
