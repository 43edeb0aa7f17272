#!/usr/bin/env bash
# bubblewrap 0.8.0 promises that --die-with-parent kills all processes of a sandbox when bwrap itself dies, but its child asks
# for that only at the end, when the sandbox is made. If bwrap is killed before (by the out-of-memory killer, or by whoever
# cancels what has just begun), the child waits for it for good and keeps standard output open: who reads that to its end waits
# for good too, and the program in the sandbox never runs. Here --block-fd holds the sandbox in that moment; without it, kills at
# the start meet it now and then on a busy host. What helps: kill the whole process group as soon as bwrap has ended.
# Seen: "bubblewrap 0.8.0", "bwrap ended by signal 9, its child is alive, standard output is open".
set -euo pipefail
cd "$(mktemp -d)"
apt-get download --quiet bubblewrap=0.8.0-2+deb12u1
dpkg-deb --extract bubblewrap_*.deb .
usr/bin/bwrap --version
cat > kill_early.py <<'PYTHON'
import os
import select
import signal
import subprocess
import time

block, _open = os.pipe()
sandbox = ("usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--block-fd", str(block), "true")
bwrap = subprocess.Popen(sandbox, pass_fds=[block], stdout=subprocess.PIPE, start_new_session=True)
children = f"/proc/{bwrap.pid}/task/{bwrap.pid}/children"
while not (found := open(children).read().split()):
    time.sleep(0.01)
bwrap.kill()
died = -bwrap.wait()
at_its_end, *_ = select.select([bwrap.stdout], [], [], 5)
alive = os.path.exists(f"/proc/{found[0]}")
print(
    f"bwrap ended by signal {died}, its child is {'alive' if alive else 'dead'},",
    f"standard output is {'closed' if at_its_end else 'open'}",
)
os.killpg(bwrap.pid, signal.SIGKILL)
raise SystemExit(not alive or bool(at_its_end))
PYTHON
python3 kill_early.py
