"""A root of its own, in which the commands of a page run as they are: as root, with their paths, users and host names,
and with a systemd that is process 1.

It shares ``/usr``, the Python of the tests and the project with this host, but not its files, processes and network.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.database.packaged import TARGET_POSTGRES_VERSION, postgres_server

ROOT = Path(__file__).parents[2]
FOLDERS = (
    *("data/minio/videos", "etc/systemd/system", "opt/project", "root", "run", "shims", "sys"),
    *("var/lib/postgresql", "var/log"),
)
FOR_PROGRAMS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl")
HOSTS = {
    "127.0.0.2": "extractor-host",
    "127.0.0.3": "transcriber-host",
    "127.0.0.4": "orchestrator-host",
    "127.0.0.5": "db.internal",
}
OF_DISTRIBUTION = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OF_WHEEL = Path(postgres_server.__file__).parent / f"pginstall{TARGET_POSTGRES_VERSION}" / "bin"
PACKAGES = Path(sysconfig.get_path("purelib"))
POSTGRES = OF_DISTRIBUTION[-1] if OF_DISTRIBUTION else Path("/opt/packages") / OF_WHEEL.relative_to(PACKAGES)
"""As the root has it. Only that of a distribution speaks TLS."""
USERS = """\
root:x:0:0:root:/root:/bin/sh
minio-user:x:901:901::/data:/usr/sbin/nologin
postgres:x:902:902::/var/lib/postgresql:/bin/sh
guest:x:903:65534::/nonexistent:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\nminio-user:x:901:\npostgres:x:902:\nnogroup:x:65534:\n"
PYTHON = Path(sys.base_prefix)
"""The one of the tests; in the root it is elsewhere, as is the project: units hide /root and /tmp."""
PYTHON_INSIDE = PYTHON if PYTHON.is_relative_to("/usr") else Path("/opt/python")
RUN_PYTHON = (
    f"env PYTHONPATH=/opt/project:/opt/packages LD_LIBRARY_PATH={PYTHON_INSIDE}/lib "
    f"{PYTHON_INSIDE}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
)
SHIMS = {
    "git": """\
#!/bin/sh
# git clone REPOSITORY FOLDER: the files of the working tree. git pull: nothing new.
[ "$1" = clone ] || exit 0
mkdir -p "$3" && cp -r /opt/project/. "$3"
""",
    "python3": f"""\
#!/bin/sh
# python3 -m venv FOLDER: the commands of the environment that the tests run in, and a pip that has nothing to install.
[ "$1 $2" = "-m venv" ] || exec {RUN_PYTHON} "$@"
mkdir -p "$3/bin" && cd "$3/bin" || exit
for command in extractor-api:extractor_api transcriber:transcriber orchestrator:orchestrator; do
    printf '#!/bin/sh\\nexec {RUN_PYTHON} -m %s "$@"\\n' "${{command#*:}}" > "${{command%:*}}"
done
printf '#!/bin/sh\\n[ "$2" = pip ]\\n' > python
chmod +x *
""",
    "scp": """\
#!/bin/sh
# scp HOST:FILE FOLDER: the hosts are one.
[ "$(dirname "${1#*:}")/" = "$2" ] && [ -e "${1#*:}" ]
""",
    "sudo": """\
#!/bin/sh
# sudo -u USER COMMAND...
user=$2; shift 2
home=$(getent passwd "$user" | cut -d: -f6)
cd / && HOME="$home" exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
""",
}
PROJECT = (
    "tests/speech",
    "config.cfg",
    "deploy",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "reelscribe",
    "extractor_api",
    "transcriber",
    "orchestrator",
)
UNITS = {
    "scenario.service": """\
[Unit]
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
Environment=HOME=/root LANG=C.UTF-8 PATH=/shims:/usr/sbin:/usr/bin
StandardOutput=append:/output
StandardError=inherit
ExecStart=/usr/bin/bash /script
""",
    # What units are ordered by: those of the host would start half of it.
    **{f"{name}.target": "[Unit]\n" for name in ("sysinit", "basic", "shutdown", "network-online", "multi-user")},
    # The journal is a file for each unit.
    "reelscribe-.service.d/journal.conf": "[Service]\nStandardOutput=append:/var/log/%n\nStandardError=inherit\n",
}
BOOT = """\
#!/bin/sh
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir /run/lock
mount --make-rshared /
export container=scratch SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system
exec /usr/lib/systemd/systemd --system --unit=scenario.service --log-target=console --show-status=no
"""


class ScratchRoot:
    """The root, in this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(0o1777)
        self.write("etc/passwd", USERS)
        self.write("etc/group", GROUPS)
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for at, name in HOSTS.items()))
        for name, content in SHIMS.items():
            self.write(f"shims/{name}", content).chmod(0o755)
        for name, content in UNITS.items():
            self.write(f"etc/systemd/system/{name}", content)
        self.write("etc/machine-id", "5" * 32 + "\n")
        self.write("boot", BOOT).chmod(0o755)
        for program in ("createuser", "createdb"):
            (folder / "shims" / program).symlink_to(POSTGRES / program)
        os.chown(folder / "var/lib/postgresql", 902, 902)
        os.chown(folder / "data/minio", 901, 901)
        (folder / "data/minio").chmod(0o750)

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def run(self, script: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a script of bash as root, as a unit of a systemd that is process 1; all that it has started ends with it.

        Raises:
            TimeoutError: it takes longer than ``seconds``; with what it has printed.
        """
        self.write("script", script)
        bound = {Path("/usr"): Path("/usr"), PACKAGES: Path("/opt/packages")}
        bound |= {PYTHON: PYTHON_INSIDE}
        bound |= {ROOT / name: Path("/opt/project") / name for name in PROJECT}
        command = [
            *("bwrap", "--bind", self.folder, "/", "--dev", "/dev", "--proc", "/proc"),
            *(word for path, inside in bound.items() for word in ("--ro-bind", path, inside)),
            *(word for name in FOR_PROGRAMS for word in ("--ro-bind-try", name, name)),
            *(word for name in ("bin", "lib", "lib64", "sbin") for word in ("--symlink", f"usr/{name}", f"/{name}")),
            *(f"--unshare-{name}" for name in ("net", "pid", "ipc", "uts", "cgroup")),
            *("--cap-add", "ALL"),
            *(word for name in ("TIME", "BOOT", "MODULE", "RAWIO") for word in ("--cap-drop", f"CAP_SYS_{name}")),
            *("--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"),
            "/boot",
        ]
        with _cgroup() as enter:
            process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=enter,
            )
            try:
                _, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise TimeoutError(self.output()) from None
        return subprocess.CompletedProcess(command, process.returncode, self.output() + (said or ""))

    def output(self) -> str:
        """What the script has printed so far."""
        file = self.folder / "output"
        return file.read_text() if file.exists() else ""


@contextmanager
def _cgroup() -> Iterator[Callable[[], None]]:
    """A cgroup of our own, and what has a process enter it; at the end nothing runs in it."""
    group = _mounted_cgroup2() / f"reelscribe-tests-{os.getpid()}"
    group.mkdir()
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None  # type: ignore[misc]
    finally:
        (group / "cgroup.kill").write_text("1")
        while "populated 1" in (group / "cgroup.events").read_text():
            time.sleep(0.01)
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def _mounted_cgroup2() -> Path:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next((Path(at) for _, at, kind, options, *_ in mounts if kind == "cgroup2" and "rw" in options.split(",")))


@cache
def can_be_made() -> bool:
    """Whether this host lets us make one."""
    tools = ("bwrap", "setpriv", "systemd-sysusers", "systemctl", "openssl")
    if os.geteuid() or not all(map(shutil.which, tools)) or not Path("/usr/lib/systemd/systemd").exists():
        return False
    try:
        with TemporaryDirectory() as folder:
            return ScratchRoot(Path(folder) / "root").run("exit 0", seconds=60).returncode == 0
    except (OSError, StopIteration, TimeoutError):
        return False
