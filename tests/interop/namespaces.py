"""Network namespaces of a test: a thread steps in, and what it starts or connects is inside."""
import contextlib
import ctypes
import os
import subprocess

from lib import Skip

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def ip(*words):
    p = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if p.returncode:
        raise AssertionError("ip %s: %s" % (" ".join(words), p.stderr.strip()))


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """Named after this process and NAME, with lo up; removed by close()."""

    def __init__(self, name):
        self.name = "rmi-%d-%s" % (os.getpid(), name)
        try:
            ip("netns", "add", self.name)
        except AssertionError as e:
            raise Skip("no network namespaces: %s" % e) from e
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        ip("-n", self.name, *words)

    @contextlib.contextmanager
    def inside(self):
        """For the calling thread."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(before)
            os.close(before)
            os.close(there)

    def close(self):
        ip("netns", "del", self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def link(a, b, address_a, address_b):
    """A veth pair, eth0 on both sides, each the other's default route."""
    ends = ("rmi%da" % os.getpid(), "rmi%db" % os.getpid())
    ip("link", "add", ends[0], "netns", a.name, "type", "veth", "peer", "name", ends[1], "netns",
       b.name)
    for n, end, own, other in ((a, ends[0], address_a, address_b),
                               (b, ends[1], address_b, address_a)):
        n.ip("link", "set", end, "name", "eth0", "up")
        if ":" in own:
            n.ip("addr", "add", own + "/64", "dev", "eth0", "nodad")
            n.ip("-6", "route", "add", "default", "via", other)
        else:
            n.ip("addr", "add", own + "/24", "dev", "eth0")
            n.ip("route", "add", "default", "via", other)
