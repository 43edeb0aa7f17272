"""A sandbox and all that runs in it: processes that end together."""

import asyncio
import os
import signal
from contextlib import suppress


class ProcessGroup:
    """The processes of a group, killed when its leader ends, or before.

    If bubblewrap is killed while it makes a sandbox, its child waits for it for good, and keeps our pipes open. Where
    the kernel cannot watch a process (before Linux 5.3, or if no descriptor is free), only :meth:`kill` ends them.

    Args:
        leader: process id of the first one, a child of this process.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._watched: int | None = None
        try:
            self._watched = os.pidfd_open(leader)
        except ProcessLookupError:
            self.kill()
        except OSError:
            pass
        else:
            asyncio.get_running_loop().add_reader(self._watched, self.kill)

    def kill(self) -> None:
        """End all of them."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None
        with suppress(ProcessLookupError):
            os.killpg(self._leader, signal.SIGKILL)
