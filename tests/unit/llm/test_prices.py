from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from autointerp.core.errors import InputError
from autointerp.llm.chat_model import Usage
from autointerp.llm.prices import (
    FREE,
    PlannedCalls,
    Price,
    estimate_job,
    estimate_text,
    read_prices,
)

OPENAI = "https://api.openai.com/v1"
MINI = Price(Decimal("0.15"), Decimal("0.075"), Decimal("0.60"))


def own(folder: Path, **models: object) -> Path:
    path = folder / "prices.json"
    rows = {
        n: {"prompt": 1, "completion": 2, "as_of": "2026-01-01", **m} for n, m in models.items()
    }
    path.write_text(json.dumps({"source": "mine", "models": rows}))
    return path


def test_a_reply_costs_what_its_tokens_cost_to_the_last_digit() -> None:
    # 1,000 prompt tokens, 400 of them cached, 50 written: 600 * 0.15 + 400 * 0.075 + 50 * 0.60
    assert MINI.cost(Usage(1000, 50, 400)) == Decimal("0.00015")
    assert MINI.batched().cost(Usage(1000, 50, 400)) == Decimal("0.00009")


def test_a_snapshot_costs_what_its_model_costs_and_a_namesake_does_not() -> None:
    table = read_prices()
    assert table.quote("gpt-4o-mini", llm=OPENAI).price == MINI
    assert table.quote("gpt-4o-mini-2024-07-18", llm=OPENAI).price == MINI
    assert (
        table.quote("gpt-4o-2024-05-13", llm=OPENAI).price
        != table.quote("gpt-4o-2024-08-06", llm=OPENAI).price
    )
    for name in ("gpt-5-pro", "gpt-4o-realtime-preview", "o3-pro", "o3-deep-research", "gpt-5.6"):
        assert table.quote(name, llm=OPENAI).price is None


def test_a_price_says_its_date_and_an_unknown_one_says_so() -> None:
    said = read_prices().quote("gpt-4.1", llm=OPENAI).text
    assert said.startswith("gpt-4.1 costs $2.00 a million prompt tokens and $8.00")
    assert "as of 2025-07-04 (https://platform.openai.com/docs/pricing" in said
    unknown = read_prices().quote("gpt-4.1", llm="https://elsewhere.example/v1")
    assert unknown.price is None
    assert unknown.text.startswith("the price of gpt-4.1 at elsewhere.example is unknown")


@pytest.mark.parametrize("llm", ["embedded", "http://127.0.0.1:8000/v1", "http://localhost/v1"])
def test_what_runs_on_this_machine_is_free(llm: str) -> None:
    assert read_prices().quote("gpt-4o", llm=llm).price == FREE


def test_a_file_of_ones_own_comes_first_and_may_name_beginnings(tmp_path: Path) -> None:
    models = {"qwen*": {}, "qwen-big*": {"prompt": 9}, "gpt-4o": {}}
    table = read_prices(own(tmp_path, **models))
    far = "https://elsewhere.example/v1"
    assert table.quote("gpt-4o", llm=OPENAI).price == Price(Decimal(1), None, Decimal(2))
    assert table.quote("qwen-big-7", llm=far).price == Price(Decimal(9), None, Decimal(2))
    assert table.quote("qwen-small", llm=far).price == Price(Decimal(1), None, Decimal(2))
    assert table.quote("qwem-small", llm=far).price is None
    assert table.quote("gpt-4.1", llm=OPENAI).price is not None


def test_a_file_of_ones_own_has_a_price_for_a_proxy_on_this_machine(tmp_path: Path) -> None:
    table = read_prices(own(tmp_path, **{"gpt-4o": {}}))
    assert table.quote("gpt-4o", llm="http://127.0.0.1:4000/v1").price == Price(
        Decimal(1), None, Decimal(2)
    )
    assert table.quote("other", llm="http://127.0.0.1:4000/v1").price == FREE
    assert table.quote("gpt-4o", llm="embedded").price == FREE


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": -1},
        {"prompt": "NaN"},
        {"prompt": "Infinity"},
        {"completion": -1},
        {"completion": "Infinity"},
        {"prompt": 9, "cached_prompt": "NaN"},
        {"cached_prompt": -1},
        {"cached_prompt": 5},
        {"more": 1},
        {"as_of": "soon"},
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, row: dict[str, object]) -> None:
    with pytest.raises(InputError, match="is not a price table: models.m"):
        read_prices(own(tmp_path, m=row))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.json cannot be read: there is none"):
        read_prices(tmp_path / "nowhere.json")


def test_an_estimate_multiplies_and_says_what_it_assumes() -> None:
    plan = [PlannedCalls("explain", 1, 1000, 50), PlannedCalls("score", 10, 300, 20)]
    estimate = estimate_job(200, plan, MINI)
    total = estimate.total
    assert (total.requests, total.prompt_tokens, total.completion_tokens) == (2200, 800_000, 50_000)
    assert total.usd == Decimal("0.15")  # 0.8 * 0.15 + 0.05 * 0.60
    stages = [(stage, spent.usd) for stage, spent in estimate.by_stage.items()]
    assert stages == [("explain", Decimal("0.036")), ("score", Decimal("0.114"))]
    text = estimate_text(estimate)
    assert text.startswith("2,200 calls, 800,000 + 50,000 tokens, about $0.15, if each")


def test_an_estimate_without_a_price_counts_tokens_and_no_dollars() -> None:
    estimate = estimate_job(2, [PlannedCalls("score", 1, 10, 5)], None)
    assert (estimate.total.usd, estimate.total.prompt_tokens) == (None, 20)
    assert "at an unknown price" in estimate_text(estimate)
