"""One word for a thing: what docs/glossary.md says not to write is written nowhere."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
FOLDERS = (
    *("reelscribe", "extractor_api", "transcriber", "orchestrator"),
    *("docs", "deploy", "demo", "bench", "tools", "tests"),
)
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config.cfg", "pyproject.toml", "Makefile", ".ci/run")
SUFFIXES = {".py", ".sql", ".md", ".cfg", ".service", ".conf"}
SKIPPED = ("tests/test_glossary.py", "tests/npm/node_modules/*", "demo/data/*", "tools/speech_model/*")

FORBIDDEN = [
    "hear", "hears", "heard", "hearing",
    "tells?(?!\\()", "told", "telling",  # file.tell() is Python's
    "places? for (?:work|jobs?|a job)", "(?:free|busy|waiting|interactive|running|quarter as many) places?",
    "(?:right to|waits? for|waited for|waiting for|wait for) (?:a|the|its|their) place", "places? (?:is |are )?free",
    "place wait", "all places",
    "lanes?", "(?:takes?|taking) turns", "(?:its|their|whose|keeps? a|one worker's|order of) turns?",
    "(?:is|are|was|were|be|looks?|for|not) whole", "the whole(?= ?[.,;:|)])", "whole again",
    "at once",
    "(?:go|goes|going|gone|went) on",
    "(?:None|(?<!=\\s)(?<!is\\s)(?<!not\\s)null|empty|nothing) where", "where (?:there|none) (?:is|are|was|were)",
    "where (?:it|that|they|one) (?:is|are) (?:set|known|declared|installed)",
    "where (?:it|they|that) do(?:es)?",
    "stands?(?!-)", "stood", "standing",
    "beside",
    "anew", "for ever", "of late",
    "wish(?:es|ed)?", "desk",
    "tally", "tallies", "screens?",
    "troubles?", "obstacles?",
    "patien(?:ce|t|tly)",
    "nobody", "somebody",
    "taken for dead", "bur(?:y|ies|ied)",
    "caged?", "cages",
    "pass(?:ed|es|ing)? over", "h(?:old|olds|eld|olding) up",
    "second looks?", "doubt(?:s|ed|ful|fully)?",
    "mend(?:s|ed|ing)?",
    "strangers?",
    "(?:a|one) (?:line|row|file|cue|token|event|command|unit|module) an? "
    "(?:segment|line|savepath|job|machine|row|start)",
    "machine [abc]", "machine-[abc]",
]  # fmt: skip
LETTERS = r"\b(?:on|from|to|of|by|for|with|and) [ABC](?=[ ,.;:)]|$)|\b[ABC]'s\b|\| [ABC] \|"
"""For the roles, which have names."""

ALLOWED = [
    ("transcriber/decoding/*", r"\bpatience\b"),  # an option of faster-whisper
    ("tests/transcriber/test_faster_whisper_contract.py", r"\bpatience\b"),
    ("tests/orchestrator/database/test_embedded.py", r"\"nobody\"|user nobody|-u nobody"),  # the user of that name
    ("*", r"hearing_impaired"),  # libav's name of a disposition
    ("*", r"\bas[-_]heard\b"),  # an option of show, of export and of the HTTP API
    ("*", r"[\"`](?:passed_over|not_heard)[\"`]"),  # in the JSON of submit and verify
]
"""Files and what their lines may hold."""
PICTURE = re.compile(r"^```\nMachine A.*?^```$", re.DOTALL | re.MULTILINE)
"""The one place where the letters A, B and C are kept: the first picture of the README."""
DICTIONARY = re.compile(r"^\| do not say \|.*?\n(?=\n|\Z)", re.DOTALL | re.MULTILINE)
"""The table of the glossary itself."""


def files(folder: str) -> Iterator[Path]:
    for path in sorted((ROOT / folder).rglob("*")):
        name = str(path.relative_to(ROOT))
        if path.suffix in SUFFIXES and not any(fnmatch(name, skipped) for skipped in SKIPPED):
            yield path


def pattern() -> re.Pattern[str]:
    words = re.sub(r" (?!\?)", r"\\s+", "|".join(FORBIDDEN))
    return re.compile(rf"(?i:\b(?:{words})\b)|{LETTERS}")


def comparable(text: str) -> str:
    """The text with identifiers as words, and without what begins and ends the lines of a comment or a string."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text.replace("_", " "))
    return re.sub(r"""["']?\n[ \t]*(?:#|--|f?["'])?[ \t]*""", "\n", text)


def found_in(path: Path) -> Iterator[str]:
    """``file:line: words`` for all that is forbidden."""
    name, text = str(path.relative_to(ROOT)), path.read_text()
    lines = text.splitlines()
    for exempt in (PICTURE, DICTIONARY):
        text = exempt.sub(lambda cut: "\n" * cut[0].count("\n"), text)
    text = comparable(text)
    for found in pattern().finditer(text):
        number = text.count("\n", 0, found.start()) + 1
        if not any(fnmatch(name, file) and re.search(line, lines[number - 1]) for file, line in ALLOWED):
            yield f"{name}:{number}: {' '.join(found[0].split())}"


def check(paths: Iterator[Path]) -> None:
    hits = [hit for path in paths for hit in found_in(path)]
    assert not hits, f"{len(hits)} times; {GLOSSARY.relative_to(ROOT)} has the words to use:\n" + "\n".join(hits)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_holds_none_of_the_words_not_to_say(folder: str) -> None:
    check(files(folder))


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_none_of_the_words_not_to_say(file: str) -> None:
    check(iter([ROOT / file]))


def test_all_that_the_glossary_says_not_to_say_is_looked_for() -> None:
    table = DICTIONARY.search(GLOSSARY.read_text())
    assert table
    words = [word for row in table[0].splitlines()[2:] for word in row.split("|")[1].split(",")]
    assert len(words) > 40
    assert [word.strip() for word in words if not pattern().search(comparable(word))] == []
