from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.settings import Settings
from autointerp.wiring.backends import known_llms, known_models, resolved

SPEC = JobSpec(units="0:0", llm="fast")
FAST = {
    "base_url": "https://host/v1",
    "models": ["small", "large"],
    "key_env": "FAST_KEY",
    "max_in_flight": 10,
    "rpm": 60,
}


def settings(folder: Path, providers: object, **more: object) -> Settings:
    path = folder / "providers.json"
    path.write_text(json.dumps(providers))
    return Settings.model_validate({"providers": path, **more})


def test_an_alias_stands_for_an_address_a_model_a_key_and_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAST_KEY", "secret-of-the-worker")
    known = settings(tmp_path, {"fast": FAST}, llm_base_url="http://127.0.0.1:1/v1")
    assert known_llms(known) == ("none", "embedded", "default", "fast")
    spec, found = resolved(SPEC, known)
    assert (spec.llm, spec.llm_model) == ("https://host/v1", "small")
    assert found.llm_api_key is not None
    assert found.llm_api_key.get_secret_value() == "secret-of-the-worker"
    assert (found.llm_max_in_flight, found.llm_rpm, found.llm_tpm) == (10, 60, None)
    assert resolved(SPEC.model_copy(update={"llm_model": "large"}), known)[0].llm_model == "large"


def test_an_unknown_alias_a_model_that_is_not_listed_and_a_missing_key_are_refused(
    tmp_path: Path,
) -> None:
    known = settings(tmp_path, {"fast": FAST})
    for change, message in (
        ({"llm": "http://127.0.0.1:1/v1"}, "unknown llm"),
        ({"llm_model": "other"}, "unknown model 'other' of this llm; it has small, large"),
        ({}, "its environment has no FAST_KEY"),
    ):
        with pytest.raises(InputError, match=message):
            resolved(SPEC.model_copy(update=change), known)


def test_the_key_of_the_default_endpoint_goes_to_no_other(tmp_path: Path) -> None:
    plain = {"fast": {"base_url": "https://host/v1"}}
    known = settings(tmp_path, plain, llm_api_key="secret", llm_base_url="https://mine/v1")
    assert resolved(SPEC, known)[1].llm_api_key is None
    own = resolved(SPEC.model_copy(update={"llm": "default"}), known)[1].llm_api_key
    assert own is not None
    assert own.get_secret_value() == "secret"


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        ({"fast": {"base_url": "file:///etc/passwd"}}, "fast.base_url"),
        ({"fast": {**FAST, "key": "in the file"}}, "fast.key"),
        ([1], "which cannot be used"),
    ],
)
def test_a_file_of_providers_that_cannot_be_used_says_why(
    tmp_path: Path, providers: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        known_llms(settings(tmp_path, providers))


def test_a_file_of_providers_that_is_none_or_has_no_end_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 31)
    for name, why in (
        ("pipe", "it is a folder, a pipe"),
        ("sparse", "has more than"),
        ("a", "is n"),
    ):
        with pytest.raises(InputError, match=rf"of AUTOINTERP_PROVIDERS .*{name} cannot .*{why}"):
            known_llms(Settings(providers=tmp_path / name))


def test_models_are_known_by_their_name_and_never_by_their_folder() -> None:
    entries = ("smollm2-135m", "org/model", "/models/tiny", "mine=/models/other", "/a/b.gguf")
    assert known_models(Settings(models=entries)) == {
        "smollm2-135m": "smollm2-135m",
        "model": "org/model",
        "tiny": "/models/tiny",
        "mine": "/models/other",
        "b": "/a/b.gguf",
    }


@pytest.mark.parametrize("url", ["unix:///run/redis.sock", "redis://:pw@h:6379/0", "rediss://h"])
def test_redis_may_be_reached_by_a_socket_too(url: str) -> None:
    assert Settings(redis_url=url).redis_url == url


@pytest.mark.parametrize("password", ["hu#sh", "hu/sh", "hu?sh", "hu[sh", "hu\u2100sh"])
def test_an_address_that_its_password_cuts_is_refused_without_showing_it(
    tmp_path: Path, password: str
) -> None:
    wrong = {**FAST, "base_url": f"https://ada:{password}@host/v1"}
    with pytest.raises(InputError, match="percent-encode the user name and the password") as e:
        known_llms(settings(tmp_path, {"fast": wrong}))
    assert "hu" not in str(e.value).replace(str(tmp_path), "")


def test_an_endpoint_of_the_settings_or_the_file_may_lack_its_scheme(tmp_path: Path) -> None:
    plain = {"fast": {"base_url": "api.host.com/v1"}}
    known = settings(tmp_path, plain, llm_base_url="localhost:8000/v1")
    assert resolved(SPEC, known)[0].llm == "https://api.host.com/v1"
    own = resolved(SPEC.model_copy(update={"llm": "default"}), known)[0]
    assert own.llm == "http://localhost:8000/v1"
