from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autointerp.core.errors import InputError
from autointerp.corpora import load_corpus
from autointerp.corpora.sources import PythonSource


def test_the_standard_library_is_a_corpus_of_code(tokenizer: Any) -> None:
    corpus = load_corpus("python", tokenizer, n_tokens=65_536)
    assert corpus.id == "python"
    assert len(corpus.documents) > 100
    assert all(source.endswith(".py") for source in corpus.sources.values())
    assert "def " in "".join(map(chr, corpus.tokens.tolist()))


def test_tests_and_tables_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    for name in ("a.py", "json/b.py", "test/c.py", "json/tests/d.py", "site-packages/e.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "table.py").write_text("x = 1\n" * 50_000)
    (tmp_path / "notes.txt").write_text("x")
    found = {d.source for d in PythonSource(tmp_path).documents(np.random.default_rng(0))}
    assert found == {"a.py", "json/b.py"}


def test_a_module_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\n")
    (document,) = PythonSource(tmp_path).documents(np.random.default_rng(0))
    assert "é" in document.text


def test_a_module_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\nx = '\xe9'\n" * 1000)
    with pytest.raises(InputError, match=r"cannot read .*a\.py"):
        list(PythonSource(tmp_path).documents(np.random.default_rng(0)))


def test_a_python_without_sources_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none; use a Python that is installed with them"):
        PythonSource(tmp_path)
