"""What is measured of a running proxy: kinds of load, by wrk (HTTP/1.1), h2load (HTTP/2) and
openssl s_time (handshakes)."""
import collections
import os
import re
import shutil
import subprocess
import tempfile

from peers import LOAD_CORE, Unavailable, wrk_binary

# port: which of the proxy's; streams: at a time on each connection (0: HTTP/1.1). Without a path:
# full handshakes, one after the other, in place of requests.
Kind = collections.namedtuple("Kind", "label part port connections path streams headers",
                              defaults=("/", 0, ()))
KINDS = [
    Kind("http c=16", "http", "http", 16),
    Kind("http c=64", "http", "http", 64),
    Kind("tcp c=16", "tcp", "tcp", 16),
    Kind("tcp c=64", "tcp", "tcp", 64),
    Kind("h2 c=16", "h2", "h2", 16, streams=1),
    Kind("h2 c=4 m=16", "h2", "h2", 4, streams=16),
    Kind("https c=16", "tls", "tls", 16),
    Kind("https 1 MB", "tls", "tls", 4, "/big"),
    Kind("handshakes", "tls", "tls", 1, path=None),
]


def microseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def pinned(args, libraries=""):
    env = dict(os.environ, LD_LIBRARY_PATH=libraries) if libraries else None
    p = subprocess.run(["taskset", "-c", str(LOAD_CORE)] + args, capture_output=True, text=True,
                       check=False, env=env)
    if p.returncode:
        raise Unavailable("%s ended with %d: %s" % (args[0], p.returncode, p.stderr.strip()[-200:]))
    return p.stdout


def by_wrk(kind, port, seconds):
    """Requests, p50 and p99 in us."""
    url = "%s://127.0.0.1:%d%s" % ("https" if kind.port == "tls" else "http", port, kind.path)
    headers = [a for h in kind.headers for a in ("-H", h)]
    wrk, libraries = wrk_binary()
    out = pinned([wrk, "-t1", "-c%d" % kind.connections, "-d%ds" % seconds, "--latency",
                  *headers, url], libraries)
    if "Non-2xx" in out or "Socket errors" in out and "connection: close" not in kind.headers:
        raise Unavailable("failed requests: %s" % out.splitlines()[-3:])
    return (int(re.search(r"(\d+) requests in", out).group(1)),
            *[microseconds(re.search(r"\s%d%%\s+(\S+)" % p, out).group(1)) for p in (50, 99)])


def by_h2load(kind, port, seconds):
    program = shutil.which("h2load")
    if not program:
        raise Unavailable("h2load is not installed (nghttp2-client)")
    with tempfile.TemporaryDirectory(prefix="remora-bench-") as folder:
        log = os.path.join(folder, "log")
        out = pinned([program, "-t1", "-c%d" % kind.connections, "-m%d" % kind.streams,
                      "-D%d" % seconds, "--log-file=" + log,
                      "http://127.0.0.1:%d%s" % (port, kind.path)])
        with open(log, encoding="ascii") as f:
            times = sorted(int(line.split()[2]) for line in f)
    good = re.search(r" 0 failed, 0 errored.*\nstatus codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", out)
    if not good:
        raise Unavailable("failed requests: %s" % out.splitlines()[-10:-8])
    if not times:
        raise Unavailable("it answered nothing")
    return int(good.group(1)), times[len(times) // 2], times[len(times) * 99 // 100]


def by_s_time(_, port, seconds):
    out = pinned(["openssl", "s_time", "-connect", "127.0.0.1:%d" % port, "-new", "-time",
                  str(seconds)])
    found = re.search(r"(\d+) connections in (\d+) real seconds", out)
    mean = int(found.group(2)) * 1e6 / max(int(found.group(1)), 1)
    return int(found.group(1)), mean, mean  # it tells no more of the time


def load(process, kind, port, seconds):
    """CPU us per request, p50 and p99 in us, requests per second."""
    before = process.cpu_us()
    by = by_h2load if kind.streams else by_wrk if kind.path else by_s_time
    requests, p50, p99 = by(kind, port, seconds)
    cpu = process.cpu_us() - before
    if not requests:
        raise Unavailable("%s answered nothing" % process.name)
    return {"cpu": cpu / requests, "p50": p50, "p99": p99, "rps": requests / seconds}
