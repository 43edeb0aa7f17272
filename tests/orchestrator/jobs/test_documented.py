"""The pictures of docs/orchestrator.md are of the states and tables that there are."""

import re
from pathlib import Path

from orchestrator.jobs import transitions
from orchestrator.jobs.models import STATES

DOCS = (Path(__file__).parents[3] / "docs" / "orchestrator.md").read_text()
[STATES_PICTURE] = re.findall(r"```mermaid\n(.*?)```", DOCS, re.DOTALL)
[TABLES_PICTURE] = re.findall(r"```text\n(.*?)```", DOCS, re.DOTALL)
FOREIGN = ("procrastinate", "_yoyo", "yoyo")
"""Tables of libraries begin so; those that matter are in the picture."""


def test_the_picture_of_states_shows_every_transition_and_no_other():
    pictured = set(re.findall(r"(\w+) --> (\w+):", STATES_PICTURE))
    made = {(source, each.target) for each in transitions.ALL for source in each.sources if source != each.target}
    assert pictured == made
    assert {state for edge in made for state in edge} == set(STATES)


def test_every_transition_is_in_the_list():
    named = [value for value in vars(transitions).values() if isinstance(value, transitions.Transition)]
    assert sorted(named) == sorted(transitions.ALL)


def test_no_other_module_changes_a_state():
    """Statements that set ``state`` are in transitions alone."""
    package = Path(transitions.__file__).parents[1]
    setting = re.compile(r"update (jobs|transcriptions)\b[^;]*?\bset\b[^;]*?\bstate\s*=", re.DOTALL)
    found = {path.name for path in package.rglob("*.py") if setting.search(path.read_text())}
    assert found == {"transitions.py"}


async def test_each_table_is_in_the_picture_and_has_the_columns_it_shows(sql):
    columns: dict[str, set[str]] = {}
    for table, column in await sql(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
    ):
        columns.setdefault(table, set()).add(column)
    shown = pictured(TABLES_PICTURE, set(columns))
    assert {table for table in columns if not table.startswith(FOREIGN)} <= set(shown)
    assert [(table, names - columns[table]) for table, names in shown.items() if names - columns[table]] == []


def pictured(picture: str, tables: set[str]) -> dict[str, set[str]]:
    """The tables of a picture, each with the names below it: a name belongs to the table that was above it last."""
    shown: dict[str, set[str]] = {}
    above: dict[int, str] = {}
    for line in picture.splitlines():
        for found in re.finditer(r"[a-z_0-9]+", line):
            name, place = found[0], found.start()
            if name in tables:
                above[place] = name
                shown[name] = set()
            else:
                heading = max(edge for edge in above if edge < place)
                shown[above[heading]].add(name)
    return shown
