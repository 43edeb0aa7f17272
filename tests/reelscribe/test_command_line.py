"""What the commands share: one line for each mistake in the settings, and the lines of ``check``."""

import pytest
import typer

from reelscribe.command_line import print_check, report_settings_errors
from reelscribe.errors import SettingsError


def test_each_mistake_in_the_settings_is_a_line_with_exit_code_2(capsys):
    with pytest.raises(typer.Exit) as left, report_settings_errors():
        raise SettingsError(["config.cfg:2: [server] port: too high", "config.cfg:5: [speling]: unknown section"])
    assert left.value.exit_code == 2
    printed = capsys.readouterr()
    assert printed.err == "config.cfg:2: [server] port: too high\nconfig.cfg:5: [speling]: unknown section\n"
    assert printed.out == ""


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError), report_settings_errors():
        _ = 1 / 0


def test_a_check_that_passes_is_printed_with_its_finding(capsys):
    assert print_check("ffmpeg", "8.1.2") is True
    assert "ffmpeg: 8.1.2" in capsys.readouterr().out


def test_a_check_that_fails_is_printed_with_its_reason(capsys):
    assert print_check("bucket", FileNotFoundError("no such folder")) is False
    printed = capsys.readouterr().out
    assert "FAIL" in printed and "bucket: no such folder" in printed
