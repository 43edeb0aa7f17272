"""The command ``config``: the shipped config.cfg, or the settings that apply and where each comes from."""

import sys
from collections.abc import Mapping
from datetime import time
from pathlib import Path

from orchestrator.cli.console import print_json, visible
from orchestrator.cli.options import usage
from reelscribe.command_line import report_settings_errors
from reelscribe.settings.config_file import choose_config, shipped_config
from reelscribe.settings.loading import Settings, load_settings, origins
from reelscribe.settings.retention import RetentionRule
from reelscribe.text.urls import without_password

Origins = Mapping[tuple[str, str], str]


def config(default: bool, as_json: bool, config: Path | None) -> None:
    """Print the shipped file, or the settings in the form of a config.cfg."""
    if default and as_json:
        usage("--default prints a config.cfg, which is not JSON")
    if default:
        sys.stdout.write(shipped_config().read_text(encoding="utf-8"))
        return
    with report_settings_errors():
        file = choose_config(config)
        settings = load_settings(file)
        known = origins(file)
    if as_json:
        print_json(_rows(settings, known))
        return
    for line in settings_lines(settings, known):
        print(line)


def settings_lines(settings: Settings, known: Origins) -> list[str]:
    """The settings in the form of a config.cfg, without passwords; ``known`` says where each comes from."""
    lines: list[str] = []
    before = ""
    for row in _rows(settings, known):
        if row["section"] != before:
            lines += [""] * bool(before) + [f"[{row['section']}]"]
            before = row["section"]
        if row["from"] != "default":
            lines.append(visible(f"# {row['from']}"))
        lines.append(visible(f"{row['key']} = {row['value']}".rstrip()))
    return lines


def _rows(settings: Settings, known: Origins) -> list[dict[str, str]]:
    return [
        {"section": section, "key": key, "value": _shown(value), "from": known.get((section, key), "default")}
        for section, values in settings
        for key, value in values
    ]


def _shown(value: object) -> str:
    """A value as config.cfg has it, without the password of a URL."""
    if isinstance(value, tuple) and value and isinstance(value[0], RetentionRule):
        return "".join(f"\n    {rule}" for rule in value)
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return "" if value is None else without_password(str(value))
