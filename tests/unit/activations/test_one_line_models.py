"""Models, texts and what is read of them are told on one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autointerp

LINE = 160


def test_models_texts_and_what_is_read_of_them_are_one_line(collected: Any, tmp_path: Path) -> None:
    path = tmp_path / "summary.safetensors"
    autointerp.save_summary(collected.summary, path)
    values = [
        collected.subject,
        collected.corpus,
        collected.summary,
        next(iter(collected.summary.values())),
        autointerp.open_summary(path),
        autointerp.live_activations(collected.subject, "a long text", units="0:0-3")[0],
    ]
    for value in values:
        shown = repr(value)
        assert shown.startswith(f"{type(value).__name__}("), shown
        assert len(shown) <= LINE + len(str(tmp_path)) + len(collected.corpus.id), shown
        assert "\n" not in shown
