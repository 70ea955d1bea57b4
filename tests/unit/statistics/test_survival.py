"""How a label came through its receipts, as a score."""

from __future__ import annotations

import pytest

from autointerp.core.sense_types import Receipt, ReceiptKind
from autointerp.statistics.survival import survival


def receipt(level: float, *, expected: bool | None) -> Receipt:
    kind = ReceiptKind.POSITIVE if expected else ReceiptKind.NEAR_MISS
    return Receipt(kind, 0, "a text", expected, level)


def test_survival_is_the_share_as_expected_with_wilsons_interval() -> None:
    receipts = [receipt(3.0, expected=True)] * 9 + [receipt(0.99, expected=False)] * 8
    receipts += [receipt(2.99, expected=True)] + [receipt(1.0, expected=False)] * 2
    score = survival([*receipts, receipt(9.0, expected=None)])
    assert (score.name, score.value, score.n_windows) == ("survived", 0.85, 20)
    assert (score.low, score.high) == pytest.approx((0.6396, 0.9476), abs=1e-4)
    narrower = survival(receipts, confidence=0.5)
    assert (narrower.low or 0) > (score.low or 1)


def test_without_an_expectation_there_is_a_reason() -> None:
    score = survival([receipt(5.0, expected=None)])
    assert score.value is None
    assert score.reason == "no text was run on which anything was expected"
