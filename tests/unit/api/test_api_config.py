"""API keys as settings name them, and what callers may ask for where nothing is set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from autointerp.api import ApiConfig, ApiLimits, KeyRing, Scope
from autointerp.api.api_config import LOCAL
from autointerp.api.server import config_of
from autointerp.core.errors import InputError
from autointerp.settings import Settings

FIRST, SECOND = "0123456789abcde1", "0123456789abcde2"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def test_a_bare_key_has_16_characters_at_least() -> None:
    assert len(FIRST) == 16
    assert KeyRing.of([FIRST]).find(FIRST) is not None
    with pytest.raises(InputError, match="at least 16 characters"):
        KeyRing.of([FIRST[:15]])


def test_bare_keys_are_named_by_their_places() -> None:
    ring = KeyRing.of([FIRST, f"boss:admin:{digest('b')}", SECOND])
    callers = [ring.find(key) for key in (FIRST, "b", SECOND)]
    assert [caller and caller.name for caller in callers] == ["key1", "boss", "key3"]
    assert ring.find("no such key") is None
    with pytest.raises(InputError, match="entry 2 of AUTOINTERP_API_KEYS"):
        KeyRing.of([FIRST, "short"])


def test_a_key_has_the_scopes_that_stand_with_it_and_no_others() -> None:
    ring = KeyRing.of([f"a:read+submit:{digest('a')}", f"b:admin:{digest('b')}"])
    found = {key: caller.scopes for key in "ab" if (caller := ring.find(key))}
    assert found == {"a": {Scope.READ, Scope.SUBMIT}, "b": {Scope.ADMIN}}
    with pytest.raises(InputError, match="the API key c has the scope 'write'"):
        KeyRing.of([f"c:read+write:{digest('c')}"])
    assert LOCAL.scopes == set(Scope)


def test_a_key_of_any_characters_is_looked_up() -> None:
    for key in ("schlüssel", "\udcff", ""):
        caller = KeyRing.of([f"a:read:{digest(key)}"]).find(key)
        assert caller is not None


def test_a_ring_without_keys_is_false() -> None:
    assert not KeyRing()
    assert not KeyRing.of([])
    assert KeyRing.of([FIRST])


def test_two_bare_keys_may_stand_beside_each_other_and_two_names_may_not() -> None:
    assert len(KeyRing.of([FIRST, SECOND]).entries) == 2
    with pytest.raises(InputError, match="names a key twice"):
        KeyRing.of([FIRST, f"key1:read:{digest('a')}"])


def test_what_settings_leave_open_is_as_the_limits_say(tmp_path: Path) -> None:
    config = config_of(Settings(cache_dir=tmp_path))
    assert config.limits == ApiLimits()
    assert config.folder == tmp_path / "downloads"


def test_a_server_of_defaults_allows_this_much() -> None:
    limits = ApiLimits()
    assert (limits.job_units, limits.job_tokens) == (50_000, 100_000_000)
    assert (limits.jobs_waiting, limits.jobs_of_key) == (100, 50)
    assert (limits.body_bytes, limits.body_s, limits.text_tokens) == (1_048_576, 20, 2_000)
    assert (limits.requests_per_s, limits.burst, limits.wrong_keys_per_s) == (500, 1_000, 5)
    assert (limits.submits_per_min, limits.streams_of_key, limits.worker_calls) == (120, 32, 16)


def test_where_nothing_is_set_nobody_has_a_key_and_answers_are_waited_for() -> None:
    config = ApiConfig()
    assert (dict(config.providers), bool(config.keys)) == ({}, False)
    assert config.folder.name == "autointerp-api"
    assert (config.refresh_s, config.activations_s, config.scoring_s) == (0.25, 30, 120)
