"""No Docker engine is at hand: the files are read, and what they rely on is looked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
IMAGES = ("api", "worker", "worker-cuda")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def lines(image: str) -> list[str]:
    text = (DOCKER / f"Dockerfile.{image}").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_and_is_pinned_by_the_constraints(image: str) -> None:
    found = lines(image)
    assert "USER autointerp" in found
    installs = [part for line in found for part in line.split("&&") if "pip install" in part]
    assert installs
    for install in installs:
        assert "-c constraints.txt" in install or "--no-deps" in install, install
    for line in found:
        for source in re.findall(r"^COPY (?!--from)(.+) /source\S*$", line):
            assert all((ROOT / name).exists() for name in source.split()), line
    ignored = (DOCKER / f"Dockerfile.{image}.dockerignore").read_text().split()
    assert ignored[0] == "*"


def test_the_image_of_the_api_names_no_torch_and_only_what_is_pinned() -> None:
    text = (DOCKER / "requirements-api.txt").read_text()
    names = [line.partition("[")[0] for line in text.splitlines() if not line.startswith("#")]
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert "torch" not in names
    assert [name for name in names if name not in pinned] == []


def test_every_service_is_read_only_keeps_no_rights_and_says_how_it_is() -> None:
    services = compose()["services"]
    assert set(services) == {"redis", "api", "activations", "labels"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # The image of the API brings its own.
        assert name == "api" or "healthcheck" in service, name
    assert any(line.startswith("HEALTHCHECK") for line in lines("api"))


def test_redis_keeps_what_it_is_told_behind_a_password_and_the_api_is_on_loopback() -> None:
    services = compose()["services"]
    command = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert '--requirepass "$$REDIS_PASSWORD"' in command
    assert "ports" not in services["redis"]
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_every_setting_of_the_compose_file_exists() -> None:
    from autointerp.settings import Settings

    known = {f"AUTOINTERP_{name.upper()}" for name in Settings.model_fields}
    for service in compose()["services"].values():
        named = {n for n in service.get("environment", {}) if n.startswith("AUTOINTERP_")}
        assert named <= known


def test_the_api_starts_without_the_packages_that_its_image_lacks() -> None:
    lacking = ("torch", "transformers", "transformer_lens", "openai", "numba", "xllamacpp", "gguf")
    code = f"import sys; sys.modules.update(dict.fromkeys({lacking})); import autointerp.api.server"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
