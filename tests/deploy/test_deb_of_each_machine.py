"""The packages of all three machines as ``make deb`` builds them, with all that pip installs: on one host, together.

:mod:`test_deb` has the rest of what a package does, with a stand-in for pip.
"""

import re
import shutil
import subprocess

import pytest

from tests.deploy.scratch_root import ROOT, ScratchRoot, can_be_made

MACHINES = ("extractor", "transcriber", "orchestrator")
SCENARIO = """
mkdir -p /var/lib/dpkg/{info,updates,triggers} && touch /var/lib/dpkg/{status,available}
dpkg() { /usr/bin/dpkg --force-depends --force-unsafe-io "$@" 2>&1; }  # it knows of no package of this root
orchestrator() { (cd / && sudo -u reelscribe /opt/reelscribe/orchestrator/.venv/bin/orchestrator "$@"); }
states() {
    for service in $services; do
        echo "$service $(systemctl show --value --property UnitFileState,ActiveState reelscribe-$service | xargs)"
    done
}
pids() { for service in $services; do systemctl show --value --property MainPID reelscribe-$service; done; }
machines='extractor transcriber orchestrator'
services=$machines

echo "=== not configured"
for machine in $machines; do dpkg --install /reelscribe-${machine}_*.deb >/dev/null; echo "exit code $?"; done
states

echo "=== checked"
printf '[transcriber]\\nextractor_url = http://127.0.0.1:8888\\n' > /etc/reelscribe/conf.d/all.cfg
for machine in $machines; do /opt/reelscribe/$machine/deploy/install.sh $machine 2>&1; done
for service in worker watch mcp; do /opt/reelscribe/orchestrator/deploy/install.sh $service 2>&1; done

echo "=== running"
services="$machines worker watch mcp"
states

echo "=== transcript"
orchestrator submit --all --wait >/dev/null 2>&1
orchestrator show short.flac

echo "=== upgraded"
services='orchestrator worker watch mcp'
before=$(pids)
dpkg --install /reelscribe-orchestrator_*.deb >/dev/null; echo "exit code $?"
states
pids | grep --count --line-regexp --fixed-strings "$before"
orchestrator show short.flac
md5sum /etc/reelscribe/config.cfg /etc/reelscribe/conf.d/* /etc/reelscribe/tokens > /sums

echo "=== removed"
for machine in $machines; do dpkg --remove reelscribe-$machine >/dev/null; echo "exit code $?"; done
ls -d /opt/reelscribe/* /etc/systemd/system/reelscribe-*.service 2>/dev/null
systemctl --plain --no-legend list-units 'reelscribe-*'

echo "=== purged"
for machine in transcriber extractor; do dpkg --purge reelscribe-$machine >/dev/null; echo "exit code $?"; done
md5sum --check /sums
ls -d /var/lib/reelscribe/postgres
REELSCRIBE_PURGE=data dpkg --purge reelscribe-orchestrator >/dev/null; echo "exit code $?"
ls -d /etc/reelscribe /var/lib/reelscribe 2>/dev/null
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each part of the scenario printed."""
    if not shutil.which("dpkg-deb") or not can_be_made():
        pytest.skip("needs root, dpkg, and a systemd that can be process 1 of its own namespaces")
    root = ScratchRoot(tmp_path_factory.mktemp("packages") / "root")
    for machine in MACHINES:
        built = subprocess.run([ROOT / "deploy/deb.sh", machine, root.folder], capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
    recording = root.folder / "data/minio/videos/short.flac"
    shutil.copy(ROOT / "tests/speech/short.flac", recording)
    shutil.chown(recording, 901, 901)
    done = root.run(SCENARIO, seconds=2400)
    parts: list[str] = re.split(r"^=== (.*)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_no_package_starts_before_it_is_configured(happened):
    said = happened["not configured"].splitlines()
    assert said == [*3 * ["exit code 0"], *(f"{machine} inactive disabled" for machine in MACHINES)]


def test_the_services_of_all_packages_pass_their_check_inside_their_units_and_run(happened):
    assert "FAIL" not in happened["checked"] and "warning:" not in happened["checked"]
    assert happened["checked"].count("ok   sandbox: bubblewrap: no network") == 2
    services = (*MACHINES, "worker", "watch", "mcp")
    assert happened["running"].splitlines() == [f"{service} active enabled" for service in services]


def test_they_transcribe_a_recording(happened):
    assert "The green hammer was" in happened["transcript"]


def test_an_upgrade_starts_all_services_of_a_package_again_and_keeps_transcripts(happened):
    *services, same_processes = happened["upgraded"].removesuffix(happened["transcript"]).splitlines()
    running = [f"{service} active enabled" for service in ("orchestrator", "worker", "watch", "mcp")]
    assert services == ["exit code 0", *running]
    assert same_processes == "0"
    assert happened["upgraded"].endswith(happened["transcript"])


def test_removed_they_leave_no_program_and_no_unit(happened):
    assert happened["removed"].splitlines() == 3 * ["exit code 0"]


def test_a_purge_keeps_settings_and_data_until_it_is_asked_to_remove_them(happened):
    *kept, folder, last = happened["purged"].splitlines()
    assert kept == [
        *2 * ["exit code 0"],
        "/etc/reelscribe/config.cfg: OK",
        "/etc/reelscribe/conf.d/all.cfg: OK",
        "/etc/reelscribe/tokens: OK",
    ]
    assert (folder, last) == ("/var/lib/reelscribe/postgres", "exit code 0")
