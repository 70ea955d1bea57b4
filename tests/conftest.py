"""Every test starts from an environment without settings, reaches no hub and has one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from packaged_model import Conversion, cache_with_it, converted_once

# Read by huggingface_hub when it is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
# Read by torch when it is imported. Threads gain tiny models nothing, and on a busy machine wait
# for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# The same examples each time, and none is too slow: a busy machine is no fault of the code.
settings.load_profile("ci")
# For whoever asks only whether a test fails: no time goes into a smaller example.
settings.register_profile("no shrinking", phases=[Phase.explicit, Phase.generate])

LONGEST = (
    "e2e/test_wheel.py",
    "e2e/test_metric_gate.py",
    "e2e/test_browser_of_a_service.py",
    "e2e/test_first_steps.py",
    "e2e/test_faulty_endpoint.py",
    "e2e/test_service.py",
    "e2e/test_service_redis_refusals.py",
    "e2e/test_collect_shards.py",
    "e2e/test_service_metrics.py",
    "e2e/test_service_object_store.py",
    "e2e/test_offline_defaults.py",
    "unit/llm/test_several_servers.py",
    "unit/scorers/test_every_dress.py",
    "e2e/test_embedded.py",
    "e2e/test_labelling_run.py",
    "e2e/test_rescoring.py",
    "e2e/test_service_secrets.py",
    "unit/test_accelerator.py",
    "e2e/test_records_in_one_pass.py",
    "e2e/test_batch.py",
    "e2e/test_budgets_that_rules_fill_up.py",
    "unit/llm/test_unsteady_endpoint.py",
    "unit/llm/test_refused_midway.py",
    "unit/llm/test_first_use.py",
    "unit/scorers/test_reply_grammars.py",
    "e2e/test_output_tests.py",
)
"""Files that take longest, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest files: one that is begun last keeps one process alone at the end."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    if missing := [str(path) for path in places if not path.is_file()]:
        raise pytest.UsageError(f"LONGEST names files that are gone: {missing}")
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell sets must not decide what a test finds."""
    for name in list(os.environ):
        if name.upper().startswith("AUTOINTERP_") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The packaged model in a cache folder that no test writes to."""
    return converted_once(tmp_path_factory)


@pytest.fixture(scope="module")
def smollm2_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this file's tests, with the packaged model in it."""
    return cache_with_it(tmp_path_factory)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model with its tokenizer."""
    from tiny import tiny_llama, tiny_tokenizer

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short documents for it."""
    from tiny import tiny_texts, write_texts

    return write_texts(tmp_path_factory.mktemp("corpus"), tiny_texts(60, n_words=60))
