"""CONTRIBUTING.md says how to add something: in at most three files, all of which exist."""

import re
from pathlib import Path

import pytest

from tests.conftest import LONG_FILES
from tests.test_floors import FLOORS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = ("A route", "A command", "A setting", "A kind of work")
MOST_FILES = 3
FILE = r"`([\w./-]+/[\w.-]+\.\w+|\w+\.(?:cfg|md|toml))`"


def section(title: str) -> str:
    found = re.search(rf"^(#+) {title}\n(.*?)(?=^#{{1,3}} |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"there is no section {title!r}"
    return found[2]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_names_at_most_three_files_that_exist(recipe: str) -> None:
    files = set(re.findall(FILE, section(recipe)))
    assert 0 < len(files) <= MOST_FILES
    assert {file for file in files if not (ROOT / file).is_file()} == set()


@pytest.mark.parametrize("package", FLOORS)
def test_each_folder_of_a_package_is_described(package: str) -> None:
    described = set(re.findall(r"^\| `(\w+)/` \|", section("Where things are"), re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders - described == set()


def test_files_that_run_first_exist() -> None:
    assert [name for name in LONG_FILES if not (ROOT / "tests" / name).is_file()] == []
