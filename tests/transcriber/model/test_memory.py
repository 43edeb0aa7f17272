"""Memory that one thread has freed is there for the others."""

import platform
import subprocess
import sys

import pytest

HEAPS_OF_SIX_THREADS = """
import ctypes, threading
from transcriber.model.memory import share_heaps
{first}
together = threading.Barrier(6)
def work():
    together.wait()
    kept = [bytearray(2000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def heaps(first: str) -> int:
    script = HEAPS_OF_SIX_THREADS.format(first=first)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.count(
        "<heap nr="
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives each thread a heap of its own")
def test_threads_share_two_heaps() -> None:
    assert heaps("") > 2
    assert heaps("share_heaps()") <= 2
