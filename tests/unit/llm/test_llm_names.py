from __future__ import annotations

import autointerp.llm


def test_public_names_are_sorted_and_exist() -> None:
    names = autointerp.llm.__all__
    assert names == sorted(names)
    assert all(hasattr(autointerp.llm, name) for name in names)
