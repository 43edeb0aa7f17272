"""Memory that has been freed is there for what comes next, also in other threads."""

import platform
import subprocess
import sys

import pytest

HEAPS_OF_SIX_THREADS = """
import ctypes, threading
from transcriber.model.memory import tune_heaps
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


LAYER_BY_LAYER = """
import resource
from transcriber.model.memory import tune_heaps
{first}
for _ in range(20):
    layers = [b"x" * (6 << 20) for _ in range(8)]
    del layers
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""

glibc_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heaps are tuned")


def heaps(first: str) -> int:
    script = HEAPS_OF_SIX_THREADS.format(first=first)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.count(
        "<heap nr="
    )


@glibc_only
def test_threads_share_two_heaps() -> None:
    assert heaps("") > 2
    assert heaps("tune_heaps()") <= 2


@glibc_only
def test_what_is_freed_is_not_cleared_by_the_system_again() -> None:
    def page_faults(first: str) -> int:
        script = LAYER_BY_LAYER.format(first=first)
        return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)

    assert page_faults("tune_heaps()") < page_faults("") / 4
