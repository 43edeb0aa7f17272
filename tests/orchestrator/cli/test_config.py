"""The command config."""

import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import cli
from reelscribe.settings.config_file import shipped_config
from reelscribe.settings.loading import load_settings


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config.cfg"
    path.write_text(
        "[server]\nport = 9\n[database]\nurl = postgresql://ann:hu%40sh@host/db?password=hush&sslmode=require"
        "&sslpassword=hush\n"
    )
    monkeypatch.setenv("REELSCRIBE_PATHS__BUCKETS", "films, clips")
    return path


def test_the_settings_that_apply_are_printed_with_where_they_come_from(config, tmp_path):
    printed = CliRunner().invoke(cli, ["config", "--config", str(config)]).stdout
    assert f"\n# {config}:2\nport = 9\n" in printed
    assert "\n# REELSCRIBE_PATHS__BUCKETS\nbuckets = films, clips\n" in printed
    assert "url = postgresql://ann:***@host/db?password=***&sslmode=require&sslpassword=***\n" in printed
    assert "hu%40sh" not in printed and "hush" not in printed
    again = tmp_path / "again.cfg"
    again.write_text(printed)
    assert load_settings(again).server == load_settings(config).server


def test_json_has_one_row_for_each(config):
    rows = json.loads(CliRunner().invoke(cli, ["config", "--json", "--config", str(config)]).stdout)
    assert {"section": "server", "key": "port", "value": "9", "from": f"{config}:2"} in rows
    assert {"section": "server", "key": "host", "value": "127.0.0.1", "from": "default"} in rows


def test_default_prints_the_shipped_file():
    printed = CliRunner().invoke(cli, ["config", "--default"])
    assert printed.stdout == shipped_config().read_text(encoding="utf-8")
    assert CliRunner().invoke(cli, ["config", "--default", "--json"]).exit_code == 2
