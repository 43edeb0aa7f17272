"""``deploy/deb.sh``: the package of a service, as dpkg installs, upgrades and purges it, with a real systemd."""

import re
import shutil
import subprocess

import pytest

from tests.deploy.scratch_root import ROOT, ScratchRoot, can_be_made

SCRIPT = ROOT / "deploy" / "deb.sh"
SCENARIO = """
mkdir -p /var/lib/dpkg/{info,updates,triggers} && touch /var/lib/dpkg/{status,available}
dpkg() { /usr/bin/dpkg --force-depends "$@" 2>&1; }  # it knows of no package of this root
state() { systemctl show --value --property UnitFileState,ActiveState reelscribe-extractor | xargs; }
git clone repository /reelscribe && cd /reelscribe
PYTHON=python3 deploy/deb.sh extractor / >/dev/null || exit
package=$(ls /reelscribe-extractor_*.deb)

echo "=== contents"
dpkg-deb --contents "$package" | awk '{print $6}'

echo "=== control"
dpkg-deb --field "$package"

echo "=== not configured"
dpkg --install "$package"; echo "exit code $?"
state

echo "=== wrong settings"
printf '[server]\\nport = high\\n' > /etc/reelscribe/conf.d/50-extractor.cfg
echo '# mine' >> /etc/reelscribe/config.cfg
dpkg --install "$package"; echo "exit code $?"
state
dpkg-query --show --showformat '${db:Status-Status}\\n' reelscribe-extractor

echo "=== configured"
printf '[server]\\nport = 8888\\n' > /etc/reelscribe/conf.d/50-extractor.cfg
/opt/reelscribe/extractor/deploy/install.sh extractor 2>&1; echo "exit code $?"
state
md5sum /etc/reelscribe/config.cfg /etc/reelscribe/conf.d/* /etc/reelscribe/tokens > /sums

echo "=== upgraded"
before=$(systemctl show --value --property MainPID reelscribe-extractor)
dpkg --install "$package" >/dev/null; echo "exit code $?"
state
[ "$before" = "$(systemctl show --value --property MainPID reelscribe-extractor)" ] || echo "a new process"

echo "=== removed"
dpkg --remove reelscribe-extractor >/dev/null; echo "exit code $?"
ls -d /opt/reelscribe/extractor /etc/systemd/system/reelscribe-extractor.service 2>/dev/null
systemctl --plain --no-legend list-units 'reelscribe-*'

echo "=== purged"
dpkg --purge reelscribe-extractor; echo "exit code $?"
md5sum --check /sums

export REELSCRIBE_PURGE=data
echo "=== with another package"
dpkg --install "$package" >/dev/null
mkdir /opt/reelscribe/transcriber && touch /opt/reelscribe/transcriber/package
dpkg --purge reelscribe-extractor >/dev/null; echo "exit code $?"
ls -d /etc/reelscribe /var/lib/reelscribe 2>/dev/null
rm -r /opt/reelscribe/transcriber

echo "=== with data"
dpkg --install "$package" >/dev/null
dpkg --purge reelscribe-extractor >/dev/null; echo "exit code $?"
ls -d /etc/reelscribe /var/lib/reelscribe 2>/dev/null
"""


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each part of the scenario printed."""
    if not shutil.which("dpkg-deb") or not can_be_made():
        pytest.skip("needs root, dpkg, and a systemd that can be process 1 of its own namespaces")
    root = ScratchRoot(tmp_path_factory.mktemp("deb") / "root")
    done = root.run(SCENARIO, seconds=290)
    parts: list[str] = re.split(r"^=== (.*)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs a service and a folder"),
        (["watch", "dist"], "watch is neither extractor, transcriber nor orchestrator"),
        (["extractor", "dist", "--wheelhouse", "/no/such"], "/no/such: there is no such folder"),
    ],
)
def test_what_it_does_not_understand_is_said(arguments, said):
    # Programs must be run by root; what they refuse they refuse before that.
    refused = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, cwd="/")
    assert refused.returncode == 2 and said in refused.stderr


def test_it_holds_the_environment_and_what_installs_the_service_and_no_secret(happened):
    files = set(happened["contents"].split())
    folder = "./opt/reelscribe/extractor/"
    assert {f"{folder}.venv/bin/extractor-api", f"{folder}deploy/install.sh", f"{folder}config.cfg"} <= files
    assert {file for file in files if not file.startswith(folder)} == {"./", "./opt/", "./opt/reelscribe/"}
    assert "Package: reelscribe-extractor" in happened["control"]
    assert re.search(r"^Depends: python3 \(>= 3\.\d+\), python3 \(<< 3\.\d+\), .*bubblewrap", happened["control"], re.M)


def test_a_service_that_is_not_configured_is_neither_enabled_nor_started(happened):
    assert (
        "it is not configured; write your settings into /etc/reelscribe/conf.d/50-extractor.cfg"
        in (happened["not configured"])
    )
    assert happened["not configured"].splitlines()[-2:] == ["exit code 0", "inactive disabled"]


def test_a_service_that_cannot_start_is_a_warning_of_the_package_and_not_its_failure(happened):
    said = happened["wrong settings"]
    assert "50-extractor.cfg:2: [server] port: must be a whole number" in said
    assert "warning: reelscribe-extractor does not start yet" in said
    assert said.splitlines()[-3:] == ["exit code 0", "inactive disabled", "installed"]


def test_once_it_is_configured_it_runs_and_an_upgrade_starts_the_new_program(happened):
    assert happened["configured"].splitlines()[-2:] == ["exit code 0", "active enabled"]
    assert happened["upgraded"].splitlines() == ["exit code 0", "active enabled", "a new process"]


def test_what_is_removed_leaves_no_program_and_no_unit(happened):
    assert happened["removed"].splitlines() == ["exit code 0"]


def test_settings_and_data_outlive_a_purge_unless_it_is_asked_to_remove_them(happened):
    assert "REELSCRIBE_PURGE=data" in happened["purged"]
    assert "FAILED" not in happened["purged"]
    assert happened["purged"].splitlines()[-4:] == [
        "exit code 0",
        "/etc/reelscribe/config.cfg: OK",
        "/etc/reelscribe/conf.d/50-extractor.cfg: OK",
        "/etc/reelscribe/tokens: OK",
    ]
    assert happened["with data"].splitlines() == ["exit code 0"]


def test_settings_and_data_of_another_package_are_never_removed(happened):
    assert happened["with another package"].splitlines() == ["exit code 0", "/etc/reelscribe", "/var/lib/reelscribe"]
