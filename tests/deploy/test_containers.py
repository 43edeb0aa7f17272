"""``deploy/containers``: what can be said of images and compose files without building and starting them."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelscribe.settings.loading import load_settings
from tests.deploy.scratch_root import ROOT

FOLDER = ROOT / "deploy" / "containers"
CONTAINERFILE = (FOLDER / "Containerfile").read_text(encoding="utf-8")
SERVICES = {"extractor": "extractor-api", "transcriber": "transcriber", "orchestrator": "orchestrator"}
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


def target(name: str) -> str:
    """The lines of one target."""
    (lines,) = re.findall(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM|\Z)", CONTAINERFILE, re.MULTILINE | re.DOTALL)
    return str(lines)


def test_hadolint_has_nothing_to_say():
    program = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not program:
        pytest.skip("needs hadolint")
    checked = subprocess.run([program, FOLDER / "Containerfile"], capture_output=True, text=True)
    assert checked.stdout + checked.stderr == ""


@pytest.mark.parametrize("service", SERVICES)
def test_the_image_of_a_service_runs_its_command_as_an_ordinary_user(service):
    lines = target(service)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f'ENTRYPOINT ["/opt/reelscribe/.venv/bin/{SERVICES[service]}"]' in lines
    assert SERVICES[service] in project["scripts"] and "\nUSER 10001\n" in lines
    (extras,) = re.findall(r"'\.\[(.*)\]'", target(f"{service}-environment"))
    assert service in extras.split(",") and set(extras.split(",")) <= set(project["optional-dependencies"])


def test_what_is_copied_is_there_and_is_sent_to_the_builder():
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE) for word in line.split()
    }
    assert [name for name in copied if not (ROOT / name).exists()] == []
    sent = (FOLDER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in sent if line.startswith("!")} == copied


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_of_the_compose_file_has_settings_that_are_read(service, tmp_path, monkeypatch):
    (tmp_path / "tokens").write_text("token\n")
    environment = COMPOSE["services"][service]["environment"]
    for name, value in environment.items():
        assert name.startswith("REELSCRIBE_")
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value).replace("/run/secrets", str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.cfg").touch()
    settings = load_settings(tmp_path / "config.cfg")
    assert settings.auth.token_file == tmp_path / "tokens"
    section = {"extractor": settings.server}.get(service) or getattr(settings, service)
    assert section.host == "0.0.0.0" and f"EXPOSE {section.port}\n" in target(service)
    urls = re.findall(r"http://(\w+):(\d+)", " ".join(environment.values()))
    assert all(name in SERVICES and f"EXPOSE {port}\n" in target(name) for name, port in urls)


def test_all_that_the_compose_file_refers_to_is_declared():
    for name, service in COMPOSE["services"].items():
        assert service["build"]["target"] == name and target(name)
        assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service["secrets"]) <= set(COMPOSE["secrets"])
        volumes = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith("$")}
        assert volumes <= set(COMPOSE["volumes"])
    further = yaml.safe_load((FOLDER / "compose.gpu.yaml").read_text(encoding="utf-8"))
    assert set(further["services"]) <= set(COMPOSE["services"])


def test_a_container_can_do_little_and_the_extractor_reaches_no_one():
    for service in COMPOSE["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["services"]["extractor"]["networks"] == ["services"] and COMPOSE["networks"]["services"]["internal"]
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["orchestrator"]["ports"])
