"""The units as a real systemd runs them: installed by ``deploy/install.sh``, on one host, with its own PostgreSQL."""

import re
import shutil

import pytest

from tests.deploy.scratch_root import ROOT, ScratchRoot, can_be_made

pytestmark = [
    pytest.mark.skipif(
        not can_be_made(), reason="needs root, and a systemd that can be process 1 of its own namespaces"
    ),
    pytest.mark.timeout(900),
]

FAULTS = """\
# Every Python of this host begins with this. SIGUSR1: the event loop is blocked. SIGUSR2: no call of the model ends any
# more, as on a GPU that has stopped answering.
import signal, threading, time

def block_event_loop(number, frame):
    time.sleep(3600)

def never_answer(*anything, **more):
    threading.Event().wait()

def break_model(number, frame):
    import ctranslate2
    ctranslate2.models.Whisper.encode = never_answer

signal.signal(signal.SIGUSR1, block_event_loop)
signal.signal(signal.SIGUSR2, break_model)
"""

SCENARIO = """
orchestrator() { (cd / && sudo -u reelscribe /opt/reelscribe/.venv/bin/orchestrator "$@"); }
override() {
    mkdir -p "/etc/systemd/system/$1.service.d"
    printf '[Service]\\n%b\\n' "$2" > "/etc/systemd/system/$1.service.d/override.conf"
    systemctl daemon-reload
}
shown() { systemctl show --value --property "$1" "reelscribe-$2"; }
services='extractor transcriber orchestrator worker watch mcp'
git clone repository /reelscribe && cd /reelscribe
mkdir -p /etc/reelscribe/conf.d
printf '[transcriber]\\nextractor_url = http://127.0.0.1:8888\\n' > /etc/reelscribe/conf.d/all.cfg

echo "=== dry run"
deploy/install.sh extractor --dry-run
ls /opt/reelscribe /etc/reelscribe/tokens 2>&1

echo "=== sandbox off"
override reelscribe-extractor ProcSubset=pid
deploy/install.sh extractor 2>&1; echo "exit code $?"
systemctl is-enabled reelscribe-extractor; systemctl is-active reelscribe-extractor

echo "=== code forbidden"
override reelscribe-transcriber MemoryDenyWriteExecute=yes
deploy/install.sh transcriber 2>&1; echo "exit code $?"
override reelscribe-transcriber ''

echo '# mine' >> /etc/reelscribe/config.cfg
md5sum /etc/reelscribe/config.cfg /etc/reelscribe/tokens > /sums

echo "=== installed"
override reelscribe-extractor ''
for service in $services; do deploy/install.sh $service; done
for service in $services; do
    systemctl show --property Id,ActiveState,UnitFileState reelscribe-$service
done

echo "=== secrets"
stat -c '%a %U %n' /etc/reelscribe /etc/reelscribe/*
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -cFf /etc/reelscribe/tokens
systemctl show 'reelscribe-*' | grep -cFf /etc/reelscribe/tokens
grep -rlFf /etc/reelscribe/tokens /var/log /run/systemd /etc/systemd /opt/reelscribe
for service in $services; do
    grep 'Max core file size' "/proc/$(shown MainPID $service)/limits"
done | sort -u | xargs

echo "=== transcript"
orchestrator submit --all --wait >/dev/null
orchestrator show short.flac

echo "=== another user"
as_guest() { (cd / && sudo -u guest /opt/reelscribe/.venv/bin/orchestrator "$@" 2>&1); echo "exit code $?"; }
install --mode=600 --owner=guest /etc/reelscribe/tokens /guests-token
as_guest list --server http://127.0.0.1:8890 --token-file /guests-token
as_guest list

echo "=== reload"
ports='8888 8889 8890 8891'
pids() { for service in $services; do shown MainPID $service; done | xargs; }
all_answer() { # whether all answer this status to the token in this line of the file, within 60 s
    for try in $(seq 600); do
        answers=$(for port in $ports; do
            sed -n "$2s/^/Authorization: Bearer /p" "$3" |
                curl -s -o /dev/null -w '%{http_code}\n' -H @- http://127.0.0.1:$port/metrics
        done | sort -u | xargs)
        [ "$answers" = "$1" ] && break
        sleep 0.1
    done
    echo "$answers"
}
before=$(pids)
cp /etc/reelscribe/tokens /before
echo ee0b7b9c5b5c47a3 | sed -i '1r /dev/stdin' /etc/reelscribe/tokens
stat -c '%a %U' /etc/reelscribe/tokens
systemctl reload 'reelscribe-*'
all_answer 200 2 /etc/reelscribe/tokens
sed -i 1d /etc/reelscribe/tokens
systemctl reload 'reelscribe-*'
all_answer 401 1 /before
all_answer 200 1 /etc/reelscribe/tokens
chown root /etc/reelscribe/tokens
systemctl reload reelscribe-extractor
for try in $(seq 600); do
    status=$(shown StatusText extractor)
    [ "$status" ] && break
    sleep 0.1
done
echo "$status"
grep -o 'ERROR.*' /var/log/reelscribe-extractor.service | tail -1
chown reelscribe /etc/reelscribe/tokens
systemctl reload reelscribe-extractor
cat /before > /etc/reelscribe/tokens
all_answer 200 1 /before
[ "$before" = "$(pids)" ] && echo "the same processes"
systemctl show --property ActiveState reelscribe-extractor

echo "=== stalled"
for service in $services; do override reelscribe-$service 'WatchdogSec=5\\nRestartSec=1'; done
printf '[transcriber]\\nstall_seconds = 1\\n' > /etc/reelscribe/conf.d/stall.cfg
systemctl restart $(printf 'reelscribe-%s ' $services)
kill -USR2 "$(shown MainPID transcriber)"
orchestrator submit short.flac --force --wait >/dev/null 2>&1; echo "exit code $?"
shown NRestarts transcriber
shown ActiveState transcriber
grep -oE 'stall_seconds = .*|in never_answer' /var/log/reelscribe-transcriber.service

echo "=== wedged"
declare -A before
for service in $services; do before[$service]=$(shown NRestarts $service); done
for service in $services; do kill -USR1 "$(shown MainPID $service)"; done
for service in $services; do
    for try in $(seq 900); do
        sleep 0.1
        [ "$(shown NRestarts $service)" -gt "${before[$service]}" ] || continue
        [ "$(shown ActiveState $service)" = active ] && break
    done
    echo "$service $(shown ActiveState $service) $(grep -c 'in block_event_loop' /var/log/reelscribe-$service.service)"
done

echo "=== mistake"
printf '[server]\\nport = high\\n' > /etc/reelscribe/conf.d/wrong.cfg
deploy/install.sh extractor 2>&1; echo "exit code $?"
systemctl is-active reelscribe-extractor
rm /etc/reelscribe/conf.d/wrong.cfg

echo "=== uninstalled"
for service in $services; do deploy/install.sh $service --uninstall; done >/dev/null
md5sum --check /sums
ls -d /var/lib/reelscribe/postgres/PG_VERSION /opt/reelscribe /etc/systemd/system/reelscribe-*.service 2>/dev/null
systemctl --plain --no-legend list-units 'reelscribe-*'
"""


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each part of the scenario printed."""
    root = ScratchRoot(tmp_path_factory.mktemp("units") / "root")
    root.write("opt/project/sitecustomize.py", FAULTS)
    recording = root.folder / "data/minio/videos/short.flac"
    shutil.copy(ROOT / "tests/speech/short.flac", recording)
    shutil.chown(recording, 901, 901)
    done = root.run(SCENARIO, seconds=880)
    parts: list[str] = re.split(r"^=== (.*)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_dry_run_prints_what_it_would_do_and_does_nothing(happened):
    *said, folder, tokens = happened["dry run"].splitlines()
    assert [line for line in said if not line.startswith("would ")] == []
    assert "No such file" in folder and "No such file" in tokens


def test_a_unit_in_which_the_sandbox_does_not_work_says_so_and_is_not_started(happened):
    said = happened["sandbox off"]
    assert re.search(r"^FAIL sandbox: bubblewrap does not work here", said, re.MULTILINE)
    assert said.splitlines()[-3:] == ["exit code 1", "disabled", "inactive"]


def test_a_unit_that_forbids_code_made_at_run_time_is_named_as_the_reason_why_the_model_does_not_run(happened):
    *said, code = happened["code forbidden"].splitlines()
    [model] = [line for line in said if line.startswith("FAIL model:")]
    assert "MemoryDenyWriteExecute=yes of a systemd unit forbids: take that line out of the unit" in model
    assert code == "exit code 1"


def test_each_service_is_checked_inside_its_unit_then_runs_and_starts_with_the_host(happened):
    said = happened["installed"]
    assert "FAIL" not in said
    assert said.count("ok   sandbox: bubblewrap: no network") == 2
    assert said.count("ok   reelscribe-") == said.count("ActiveState=active\nUnitFileState=enabled") == 6


def test_secrets_are_closed_to_others_and_in_no_environment_argument_log_or_core_file(happened):
    config, *modes, with_token, shown_by_systemd, core_files = happened["secrets"].splitlines()
    assert config == "750 root /etc/reelscribe"
    assert "600 reelscribe /etc/reelscribe/tokens" in modes and "640 root /etc/reelscribe/config.cfg" in modes
    assert (with_token, shown_by_systemd) == ("0", "0")
    assert core_files == "Max core file size 0 0 bytes"


def test_recordings_are_transcribed_with_all_that_the_units_forbid(happened):
    assert "The green hammer was" in happened["transcript"]


def test_another_user_of_the_host_needs_a_token_and_no_settings(happened):
    *listed, code, refused, its_code = happened["another user"].splitlines()
    assert code == "exit code 0" and any("short.flac" in line for line in listed)
    assert "/etc/reelscribe/config.cfg: cannot be read: Permission denied" in refused
    assert its_code == "exit code 2"


def test_a_reload_replaces_the_token_in_the_processes_that_run_and_its_failure_is_in_the_status(happened):
    mode, accepted, refused, still, status, error, again, *rest = happened["reload"].splitlines()
    assert mode == "600 reelscribe"
    assert (accepted, refused, still, again) == ("200", "401", "200", "200")
    assert status == "the tokens cannot be read again, and those from before are used; the log says why"
    assert "/etc/reelscribe/tokens cannot be read: Permission denied; the tokens from before stay in use" in error
    assert rest == ["the same processes", "ActiveState=active"]


def test_a_transcriber_whose_batch_never_ends_is_started_again_says_why_and_its_job_is_done(happened):
    done, restarts, state, *log = happened["stalled"].splitlines()
    assert (done, restarts, state) == ("exit code 0", "1", "active")
    assert log == [
        "stall_seconds = 1; systemd's watchdog gets no more pings, so that it starts a new process",
        "in never_answer",
    ]


def test_a_wedged_event_loop_of_each_service_is_started_again_and_the_log_says_where_it_was(happened):
    names = ("extractor", "transcriber", "orchestrator", "worker", "watch", "mcp")
    assert happened["wedged"].splitlines() == [f"{name} active 1" for name in names]


def test_a_mistake_in_the_settings_is_reported_with_its_line_and_what_runs_is_left_alone(happened):
    assert "/etc/reelscribe/conf.d/wrong.cfg:2: [server] port: must be a whole number" in happened["mistake"]
    assert happened["mistake"].splitlines()[-2:] == ["exit code 1", "active"]


def test_neither_further_runs_nor_uninstalling_change_configuration_and_data(happened):
    assert happened["uninstalled"].splitlines() == [
        "/etc/reelscribe/config.cfg: OK",
        "/etc/reelscribe/tokens: OK",
        "/var/lib/reelscribe/postgres/PG_VERSION",
    ]
