"""Hosts with network namespaces and addresses of their own, on one Ethernet switch whose cables can be cut or made bad.

The switch is a thread of this process through which all frames pass, so that delay and loss need neither ``netem``,
which many kernels lack, nor a program of iproute2.
"""

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU, SIOCSIFHWADDR = 0x8914, 0x8916, 0x891C, 0x8922, 0x8924
IFF_UP = 0x1
ARPHRD_ETHER = 1
MTU = 9000
"""Larger than usual: the switch costs time for each frame."""
FRAME = MTU + 18
BROADCAST = 0xFF
BUFFERED_SECONDS = 1.0
"""How much of a slow cable's traffic is kept; frames beyond that are lost, as in a real router."""

Result = TypeVar("Result")


@dataclass
class Cable:
    """What happens to the frames between one host and the switch.

    Attributes:
        delay: in seconds, each way.
        loss: share of the frames that get lost, each way.
        bytes_per_second: from the host; None: as fast as it goes.
        sends, receives: False: no frame passes in this direction, and neither end notices.
    """

    delay: float = 0.0
    loss: float = 0.0
    bytes_per_second: float | None = None
    sends: bool = True
    receives: bool = True
    _free_at: float = field(default=0.0, init=False)

    def cut(self) -> None:
        self.sends = self.receives = False

    def mute(self) -> None:
        """The host receives everything, and nothing that it sends arrives."""
        self.sends = False

    def repair(self) -> None:
        """As at first, except for ``bytes_per_second``."""
        self.sends = self.receives = True
        self.delay = self.loss = 0.0

    def leaves_at(self, size: int) -> float | None:
        """The moment at which a frame of the host is through this cable; None: it is lost."""
        now = time.monotonic()
        if not self.sends or random.random() < self.loss:
            return None
        if self.bytes_per_second:
            if self._free_at - now > BUFFERED_SECONDS:
                return None
            now = self._free_at = max(now, self._free_at) + size / self.bytes_per_second
        return now + self.delay


class Host:
    """A network namespace with one address, at the end of a cable."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.address = f"10.77.0.{number}"
        self.cable = Cable()
        self._thread = ThreadPoolExecutor(1)
        try:
            self.port = self.run(self._plug_in)
        except BaseException:
            self._thread.shutdown()
            raise

    def run(self, function: Callable[[], Result]) -> Result:
        """Call it in a thread that is on this host, as are the processes that it starts."""
        return self._thread.submit(function).result()

    def close(self) -> None:
        os.close(self.port)
        self._thread.shutdown()

    def _plug_in(self) -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace can be made")
        port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(self.address))
        netmask = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("255.255.255.0"))
        hardware = struct.pack("H6s8x", ARPHRD_ETHER, bytes([2, 0, 0, 0, 0, self.number]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for name, request, value in (
                (b"eth0", SIOCSIFHWADDR, hardware),
                (b"eth0", SIOCSIFMTU, struct.pack("i12x", MTU)),
                (b"eth0", SIOCSIFADDR, address),
                (b"eth0", SIOCSIFNETMASK, netmask),
                (b"eth0", SIOCSIFFLAGS, struct.pack("H14x", IFF_UP)),
                (b"lo", SIOCSIFFLAGS, struct.pack("H14x", IFF_UP)),
            ):
                fcntl.ioctl(control, request, struct.pack("16s16s8x", name, value))
        return port


class Network:
    """Some hosts, numbered from 1, and the switch between them."""

    def __init__(self, count: int) -> None:
        self.hosts: list[Host] = []
        self._waiting: list[tuple[float, int, Host, bytes]] = []
        self._sent = 0
        self._ending, self._end = os.pipe()
        self._switch = threading.Thread(target=self._forward, name="switch", daemon=True)
        try:
            for number in range(1, count + 1):
                self.hosts.append(Host(number))
        except BaseException:
            self._close()
            raise
        self._switch.start()

    def close(self) -> None:
        os.write(self._end, b"end")
        self._switch.join()
        self._close()

    def _close(self) -> None:
        for host in self.hosts:
            host.close()
        os.close(self._ending)
        os.close(self._end)

    def _forward(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ending, selectors.EVENT_READ, None)
            for host in self.hosts:
                selector.register(host.port, selectors.EVENT_READ, host)
            while True:
                self._deliver()
                wait = self._waiting[0][0] - time.monotonic() if self._waiting else None
                for key, _ in selector.select(wait if wait is None or wait > 0 else 0):
                    if key.data is None:
                        return
                    self._take(key.data)

    def _take(self, host: Host) -> None:
        """Frames that a host sends, until there are no more or others have waited long enough."""
        for _ in range(64):
            try:
                frame = os.read(host.port, FRAME)
            except BlockingIOError:
                return
            leaves = host.cable.leaves_at(len(frame))
            if leaves is None:
                continue
            for other in self.hosts:
                if other is not host and frame[5] in (other.number, BROADCAST):
                    self._sent += 1
                    heapq.heappush(self._waiting, (leaves + other.cable.delay, self._sent, other, frame))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, host, frame = heapq.heappop(self._waiting)
            if host.cable.receives and random.random() >= host.cable.loss:
                with suppress(OSError):  # its queue is full: the frame is lost
                    os.write(host.port, frame)


@contextmanager
def network(count: int) -> Iterator[Network]:
    """Hosts during the block. What was started on them must have ended by itself.

    Raises:
        OSError: this host lets us make none.
    """
    made = Network(count)
    try:
        yield made
    finally:
        made.close()


@cache
def why_none() -> str:
    """Why this host lets us make no network; empty: it does."""
    try:
        with network(1):
            return ""
    except OSError as error:
        return f"no network namespaces with TAP devices here: {error}"
