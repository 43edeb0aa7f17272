"""The list of transcript formats, and the pages that repeat it."""

import re
from pathlib import Path

import pytest

from reelscribe.errors import UnsupportedFormat
from reelscribe.text.formats import Format, parse_format

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_format_is_found_by_its_name():
    assert parse_format("vtt") is Format.VTT


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(UnsupportedFormat, match="'doc' is not offered; take one of txt, paragraphs, docx, srt, vtt"):
        parse_format("doc")


def test_the_docs_describe_each_format():
    page = (ROOT / "docs" / "orchestrator.md").read_text()
    [table] = re.findall(r"^\| format \|.*\n\| --- \| --- \|\n((?:\|.*\n)+)", page, re.MULTILINE)
    *rows, parquet = table.splitlines()
    assert rows == [f"| `{format}` | {format.description} |" for format in Format]
    assert parquet.startswith("| `parquet` |")


def test_each_page_that_lists_the_formats_lists_all():
    readme, routes, config = ((ROOT / name).read_text() for name in ("README.md", "docs/http.md", "config.cfg"))
    assert f"# Formats to store, separated by commas: {', '.join(Format)}.\nformats = " in config
    [of_the_api] = re.findall(r"\?format=(\S+)`", routes)
    assert sorted(of_the_api.split(r"\|")) == sorted(Format)
    [of_export] = re.findall(r"^\| `orchestrator export .*", readme, re.MULTILINE)
    assert set(Format) <= set(re.findall(r"`(\w+)`", of_export))
