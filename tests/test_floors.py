"""The rooms of each package are floors: a module imports its own room and the floors below it, nothing else of ours."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

FLOORS = {
    "reelscribe": [
        ["stop_signals"],
        [
            "blocking_calls",
            "child_process",
            "errors",
            "languages",
            "log_context",
            "mistakes",
            "program",
            "savepath",
            "following_context",
            "service_manager",
            "version",
        ],
        ["command_line", "contracts", "logs", "slots", "temporary_files", "text", "trust"],
        ["disk_room", "settings"],
        ["http", "media", "minio_client"],
        ["asking"],
    ],
    "extractor_api": [
        ["minio"],
        ["probe", "receipts", "results", "storage"],
        ["listing"],
        ["bucket_check", "service"],
        ["file_delivery"],
        ["extraction_handler", "object_delivery"],
        ["envelope"],
        ["clip", "handlers", "peaks", "preview", "samples"],
        ["routes"],
        ["command"],
        ["arguments"],
        ["__main__"],
    ],
    "transcriber": [
        ["metrics"],
        ["audio"],
        ["model"],
        ["decoding"],
        ["scheduling"],
        ["jobs"],
        ["service"],
        ["transcript"],
        ["api"],
        ["command"],
        ["arguments"],
        ["__main__"],
    ],
    "orchestrator": [
        ["errors", "server"],
        ["database"],
        ["jobs"],
        ["queue", "transcripts"],
        ["exports", "intake", "media", "worker"],
        ["ingest"],
        ["diagnosis", "session", "webhooks"],
        ["api", "assistants"],
        ["page"],
        ["services"],
        ["access"],
        ["cli"],
        ["__main__"],
    ],
}
"""Bottom up. A room is a folder, or a module next to the folders; the rooms of one floor do not import each other."""
SHARED = "reelscribe"
OTHERS = ("bench", "demo", "tests", "tools")
MOST_MODULES, MOST_LINES = 22, 400
SQL_ROOMS = tuple(f"orchestrator.{room}." for room in ("database", "jobs", "queue", "transcripts"))

ROOT = Path(__file__).parent.parent


@cache
def modules() -> dict[str, Path]:
    """All modules of the project, by name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in (*FLOORS, *OTHERS)
        for path in (ROOT / package).rglob("*.py")
    }


@cache
def imports() -> dict[str, set[str]]:
    """What each module imports of the project, inside functions too."""
    return {name: set(_imported(path)) & modules().keys() - {name} for name, path in modules().items()}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path.relative_to(ROOT)}:{node.lineno}: a relative import"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules() else node.module for name in inside)


def room(module: str) -> str:
    """The folder or module of its package that a module is in; empty for the package itself."""
    return f"{module}.".split(".")[1]


def of(package: str) -> Iterable[str]:
    return (name for name in modules() if name.partition(".")[0] == package)


def within(package: str) -> list[tuple[str, str]]:
    """Importing and imported modules of the project, for all modules of a package."""
    return [(name, imported) for name in of(package) for imported in sorted(imports()[name])]


def test_no_service_imports_another_and_the_shared_package_imports_none() -> None:
    foreign = [
        f"{name} imports {imported}"
        for package in FLOORS
        for name, imported in within(package)
        if imported.partition(".")[0] not in {package, SHARED}
    ]
    assert not foreign, "\n".join(foreign)


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_is_on_a_floor(package: str) -> None:
    known = {room for floor in FLOORS[package] for room in floor}
    assert {room(name) for name in of(package)} - known - {""} == set()


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_leads_up_or_to_another_room_of_the_same_floor(package: str) -> None:
    height = {room: number for number, floor in enumerate(FLOORS[package]) for room in floor} | {"": -1}
    upward = [
        f"{name} imports {imported}"
        for name, imported in within(package)
        if imported.partition(".")[0] == package
        and room(imported) != room(name)
        and height[room(imported)] >= height[room(name)]
    ]
    assert not upward, "\n".join(upward)


def test_no_imports_form_a_cycle() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_folder_holds_too_many_modules() -> None:
    counted = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    assert {str(folder): count for folder, count in counted.items() if count > MOST_MODULES} == {}


def test_no_module_is_too_long() -> None:
    lengths = {str(path): len(path.read_bytes().splitlines()) for path in modules().values()}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_sql_is_in_four_rooms_of_the_orchestrator() -> None:
    statement = re.compile(r"\b(select\s[a-z*(]|insert\s+into\s|update\s+[a-z_]+\s+set\s|delete\s+from\s)")
    elsewhere = [
        f"{name}:{node.lineno}"
        for name, path in modules().items()
        if name.partition(".")[0] in FLOORS and not name.startswith(SQL_ROOMS)
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.search(node.value)
    ]
    assert not elsewhere, elsewhere
