"""The unit files: systemd accepts them, and they hold what a service needs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.session import NEWER_TABLES_EXIT_CODE
from reelscribe.command_line import USAGE_EXIT_CODE
from reelscribe.settings.shared import Listener

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = {
    "reelscribe-extractor.service": "extractor-api",
    "reelscribe-transcriber.service": "transcriber",
    "reelscribe-orchestrator.service": "orchestrator serve",
    "reelscribe-worker.service": "orchestrator worker",
    "reelscribe-watch.service": "orchestrator watch",
    "reelscribe-mcp.service": "orchestrator mcp --http",
}
MOST_EXPOSED = {"extractor": 2.3, "transcriber": 2.3, "orchestrator": 1.3, "worker": 1.3, "watch": 1.3, "mcp": 1.3}
"""By systemd-analyze security: 0 is best, 10 worst. Those with ffmpeg let bubblewrap make its namespaces and mounts."""
SYSUSERS = FOLDER / "reelscribe.sysusers.conf"


def keys(unit: str) -> dict[str, str]:
    """The keys of a unit; of one that appears more than once, such as Environment, the last."""
    return dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / unit).read_text(encoding="utf-8"), re.MULTILINE))


def systemd(tool: str, *arguments: object) -> subprocess.CompletedProcess[str] | None:
    """Run a tool of systemd; None on a host without it, where the other tests here still check the keys."""
    if not (path := shutil.which(tool)):
        return None
    return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True)


def test_there_is_one_unit_for_each_service_worker_watch_and_for_assistants():
    assert {path.name for path in FOLDER.glob("*.service")} == UNITS.keys()


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_it(unit, tmp_path):
    # The command of the unit is not installed where tests run, and verify insists on an executable.
    command = keys(unit)["ExecStart"].split()[0]
    text = (FOLDER / unit).read_text(encoding="utf-8").replace(command, sys.executable)
    (tmp_path / unit).write_text(text, encoding="utf-8")
    verified = systemd("systemd-analyze", "verify", "--man=no", tmp_path / unit)
    if verified:  # it may complain about other units of this host
        assert [line for line in verified.stderr.splitlines() if unit in line] == []
        assert verified.returncode == 0


@pytest.mark.parametrize(("unit", "command"), UNITS.items())
def test_it_runs_the_command_of_the_venv_with_the_config_of_etc(unit, command):
    assert keys(unit)["ExecStart"] == f"/opt/reelscribe/.venv/bin/{command} --config /etc/reelscribe/config.cfg"


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_restarted_when_it_fails_and_starts_with_the_network(unit):
    unit_keys = keys(unit)
    assert unit_keys["Restart"] == "on-failure"
    assert unit_keys["Wants"] == "network-online.target" and "network-online.target" in unit_keys["After"].split()
    assert unit_keys["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize(("unit", "command"), UNITS.items())
def test_a_mistake_in_the_settings_and_tables_of_a_newer_version_do_not_start_it_again_and_again(unit, command):
    codes = [USAGE_EXIT_CODE, NEWER_TABLES_EXIT_CODE] if command.startswith("orchestrator") else [USAGE_EXIT_CODE]
    assert keys(unit)["RestartPreventExitStatus"].split() == [str(code) for code in codes]


@pytest.mark.parametrize("unit", UNITS)
def test_it_runs_as_an_ordinary_user_with_a_folder_of_its_own(unit):
    unit_keys = keys(unit)
    assert unit_keys["User"] == unit_keys["StateDirectory"] == "reelscribe"
    assert unit_keys["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_no_more_exposed_than_it_must_be(unit):
    rated = systemd("systemd-analyze", "security", "--offline=true", "--no-pager", FOLDER / unit)
    if rated:
        (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
        assert float(exposure) <= MOST_EXPOSED[unit.removeprefix("reelscribe-").removesuffix(".service")]


@pytest.mark.parametrize("unit", UNITS)
def test_each_block_of_what_it_forbids_begins_with_a_reason(unit):
    service = (FOLDER / unit).read_text(encoding="utf-8").partition("[Service]")[2].partition("[Install]")[0]
    blocks = service[service.index("# It is an ordinary user") :].strip().split("\n\n")
    assert len(blocks) > 4 and all(block.startswith("# ") for block in blocks)


@pytest.mark.parametrize("unit", UNITS)
def test_it_reports_to_systemd_and_can_be_reloaded(unit):
    unit_keys = keys(unit)
    assert (unit_keys["Type"], unit_keys["WatchdogSec"]) == ("notify", "60")
    assert unit_keys["ExecReload"] == "/bin/kill -HUP $MAINPID"


@pytest.mark.parametrize("unit", UNITS)
def test_it_reads_the_token_file_itself_as_a_copy_would_not_change_with_a_reload(unit):
    text = (FOLDER / unit).read_text(encoding="utf-8")
    assert "\nEnvironment=REELSCRIBE_AUTH__TOKEN_FILE=/etc/reelscribe/tokens\n" in text
    assert "\nLoadCredential=" not in text


def test_only_the_transcriber_may_write_code_at_run_time_and_sees_gpus():
    for unit in UNITS:
        text = (FOLDER / unit).read_text(encoding="utf-8")
        is_transcriber = unit == "reelscribe-transcriber.service"
        assert ("\nMemoryDenyWriteExecute=yes\n" not in text) == is_transcriber
        assert ("\nDeviceAllow=char-nvidia" in text) == is_transcriber
        assert ("\nPrivateDevices=yes\n" not in text) == is_transcriber


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_waits_longer_than_the_service_lets_requests_finish(unit):
    assert int(keys(unit)["TimeoutStopSec"]) > Listener(port=1).grace_seconds


def test_the_user_is_declared_for_systemd_sysusers():
    line = SYSUSERS.read_text(encoding="utf-8").splitlines()[-1].split()
    assert line[:2] == ["u", "reelscribe"] and line[-1] == "/usr/sbin/nologin"
    declared = systemd("systemd-sysusers", "--dry-run", SYSUSERS)
    assert declared is None or declared.returncode == 0, declared.stderr
