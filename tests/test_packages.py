"""The packages: who imports whom, and that each machine's extra installs what the machine imports."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MACHINES = {"extractor_api": "extractor", "transcriber": "transcriber", "orchestrator": "orchestrator"}
OURS = {"reelscribe", *MACHINES}
OTHER_NAMES = {"yoyo": "yoyo-migrations", "pynvml": "nvidia-ml-py"}
"""Packages that are not imported by the name they are installed by."""


def imported(package: str) -> set[str]:
    """The top-level names that a package's modules import, other than itself and the standard library."""
    names: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {package}


def declared(*extras: str) -> set[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return {canonical(re.split(r"[\[<>=~! ;]", requirement)[0]) for requirement in requirements}


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(package: str, *extras: str) -> set[str]:
    return {canonical(OTHER_NAMES.get(name, name)) for name in imported(package) - OURS} - declared(*extras)


def test_the_shared_package_imports_no_machine():
    assert not imported("reelscribe") & MACHINES.keys()


@pytest.mark.parametrize("package", MACHINES)
def test_a_machine_imports_no_other_machine(package):
    assert imported(package) & OURS <= {"reelscribe"}


@pytest.mark.parametrize(("package", "extra"), MACHINES.items())
def test_its_extra_installs_what_a_machine_imports(package, extra):
    assert undeclared(package, extra) == set()


def test_the_base_installs_what_the_shared_package_imports():
    # The extractor's extra holds the fallback ffmpeg, which reelscribe/media/ffmpeg.py looks for and can do without.
    assert undeclared("reelscribe") <= {"imageio-ffmpeg"}
