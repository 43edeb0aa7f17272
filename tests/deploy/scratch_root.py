"""A root of its own, in which the commands of a page run as they are: as root, with their paths, users and host names.

It shares ``/usr`` and the Python of the tests with this host, and neither its files, processes nor network.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from orchestrator.database.embedded import TARGET_POSTGRES_VERSION, postgres_server

ROOT = Path(__file__).parents[2]
FOR_PROGRAMS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl")
HOSTS = {
    "127.0.0.2": "extractor-host",
    "127.0.0.3": "transcriber-host",
    "127.0.0.4": "orchestrator-host",
    "127.0.0.5": "db.internal",
}
OF_DISTRIBUTION = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OF_WHEEL = Path(postgres_server.__file__).parent / f"pginstall{TARGET_POSTGRES_VERSION}" / "bin"
POSTGRES = OF_DISTRIBUTION[-1] if OF_DISTRIBUTION else OF_WHEEL
"""Only that of a distribution speaks TLS."""
USERS = """\
root:x:0:0:root:/root:/bin/sh
minio-user:x:901:901::/data:/usr/sbin/nologin
postgres:x:902:902::/var/lib/postgresql:/bin/sh
guest:x:903:65534::/nonexistent:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\nminio-user:x:901:\npostgres:x:902:\nnogroup:x:65534:\n"
SHIMS = {
    "git": f"""\
#!/bin/sh
# git clone REPOSITORY FOLDER: the files of the working tree.
mkdir -p "$3" && cd {ROOT} && cp -r --parents config.cfg deploy "$3"
""",
    "python3": f"""\
#!/bin/sh
# python3 -m venv FOLDER: the commands of the environment that the tests run in, and a pip that has nothing to install.
mkdir -p "$3/bin" && cd "$3/bin" || exit
printf '#!/bin/sh\\necho "pip $*"\\n' > pip
for command in extractor-api:extractor_api transcriber:transcriber orchestrator:orchestrator; do
    printf '#!/bin/sh\\nexec {sys.executable} -m %s "$@"\\n' "${{command#*:}}" > "${{command%:*}}"
done
chmod +x *
""",
    "sudo": """\
#!/bin/sh
# sudo -u USER COMMAND...
user=$2; shift 2
home=$(getent passwd "$user" | cut -d: -f6)
cd / && HOME="$home" exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
""",
    "systemctl": """\
#!/bin/sh
# systemctl enable --now UNIT, systemctl restart UNIT...: what the unit starts, as its user.
[ "$1" = enable ] && shift
shift
restart() {
    file=/etc/systemd/system/$1.service
    start=$(sed -n 's/^ExecStart=//p' "$file"); user=$(sed -n 's/^User=//p' "$file")
    if [ -e "/run/$1.pid" ]; then
        kill -TERM "$(cat "/run/$1.pid")"
        while kill -0 "$(cat "/run/$1.pid")" 2>/dev/null; do sleep 0.1; done
    fi
    sudo -u "$user" $start 2>"/run/$1.log" &
    echo $! > "/run/$1.pid"
    for try in $(seq 600); do grep -qs 'running on' "/run/$1.log" && break; sleep 0.1; done
    cat "/run/$1.log"
}
waited=
for unit; do
    restart "$unit" &
    waited="$waited $!"
done
wait $waited
""",
}


class ScratchRoot:
    """The root, in this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("etc/systemd/system", "data/minio/videos", "var/lib/postgresql", "run", "root", "shims", "opt"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").mkdir()  # not a tmpfs: the project may be in it, and bwrap would close its parents to others
        (folder / "tmp").chmod(0o1777)
        self.write("etc/passwd", USERS)
        self.write("etc/group", GROUPS)
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for at, name in HOSTS.items()))
        for name, content in SHIMS.items():
            self.write(f"shims/{name}", content).chmod(0o755)
        for program in ("createuser", "createdb"):
            (folder / "shims" / program).symlink_to(POSTGRES / program)
        os.chown(folder / "var/lib/postgresql", 902, 902)
        os.chown(folder / "data/minio", 901, 901)
        (folder / "data/minio").chmod(0o750)

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        return path

    def run(self, script: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a script of bash as root; it and all that it has started end together."""
        self.write("script", script)
        shared = {Path("/usr"), ROOT, Path(sys.prefix).resolve(), Path(sysconfig.get_path("stdlib")).parents[1]}
        shared |= {Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(":") if entry}
        for path in shared:
            (self.folder / path.relative_to("/")).mkdir(parents=True, exist_ok=True)  # bwrap would close them to others
        command = [
            *(
                "bwrap",
                "--bind",
                self.folder,
                "/",
                "--dev",
                "/dev",
                "--proc",
                "/proc",
            ),
            *(word for path in sorted(shared) for word in ("--ro-bind", path, path)),
            *(word for name in FOR_PROGRAMS for word in ("--ro-bind-try", name, name)),
            *(word for name in ("bin", "lib", "lib64", "sbin") for word in ("--symlink", f"usr/{name}", f"/{name}")),
            *("--ro-bind", "/dev/null", shutil.which("bwrap")),  # one in another would need a /proc that is not here
            *(
                "--unshare-net",
                "--unshare-pid",
                "--unshare-ipc",
                "--cap-add",
                "ALL",
                "--die-with-parent",
                "--new-session",
            ),
            *("--clearenv", "--setenv", "PATH", "/shims:/usr/sbin:/usr/bin", "--setenv", "HOME", "/root"),
            *("--setenv", "PYTHONPATH", os.environ.get("PYTHONPATH") or str(ROOT), "--setenv", "LANG", "C.UTF-8"),
            *("bash", "/script"),
        ]
        return subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )


def can_be_made() -> bool:
    """Whether this host lets us make one."""
    tools = ("bwrap", "setpriv", "systemd-sysusers", "openssl")
    return os.geteuid() == 0 and all(map(shutil.which, tools))
